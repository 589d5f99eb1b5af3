#include "tests/reference/support_files.c"
