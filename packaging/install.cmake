# cmake --install BUILD [--prefix DIR]: the program, the one public header, data, and what shells and compilers look for.
include(GNUInstallDirs)

file(STRINGS include/vaemark/decoder.h abi_line REGEX "^#define VAEMARK_ABI_VERSION")
string(REGEX MATCH "[0-9]+" VAEMARK_ABI_VERSION "${abi_line}")
configure_file(packaging/vaemark.pc.in vaemark.pc @ONLY)

install(TARGETS vaemark RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/vaemark DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
# The program looks in ../share/vaemark beside its folder, wherever the whole was put.
install(DIRECTORY models operations suites DESTINATION share/vaemark)
install(DIRECTORY scripts/gnuplot scripts/adapters DESTINATION share/vaemark/scripts PATTERN __pycache__ EXCLUDE)
install(PROGRAMS scripts/setup-frameworks.sh DESTINATION share/vaemark/scripts)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES packaging/completion.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME vaemark)
# The header belongs to no architecture, so neither does the file that points at it.
install(FILES ${PROJECT_BINARY_DIR}/vaemark.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
