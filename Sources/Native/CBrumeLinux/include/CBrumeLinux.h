#ifndef CBRUME_LINUX_H
#define CBRUME_LINUX_H
#endif
