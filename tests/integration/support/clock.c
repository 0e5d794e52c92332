/* A wall clock that is wrong, for one process: preloaded, it adds the seconds that stand in the file $CLOCK_OFFSET names.
   The monotonic clock stays what it is. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int failed = real(id, now);
  const char *name = getenv("CLOCK_OFFSET");
  if (failed || id != CLOCK_REALTIME || !name) return failed;
  FILE *file = fopen(name, "re");
  long offset = 0;
  if (file) {
    if (fscanf(file, "%ld", &offset) != 1) offset = 0;
    fclose(file);
  }
  now->tv_sec += offset;
  return 0;
}
