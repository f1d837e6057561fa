#include "CBrumeLinux.h"
