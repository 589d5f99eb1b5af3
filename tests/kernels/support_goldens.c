#include "tests/reference/support_goldens.c"
