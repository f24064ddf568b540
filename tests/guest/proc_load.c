// /proc/loadavg and /proc/uptime, and sysinfo(2), which says the same.
#include "guest.h"
#include <sys/sysinfo.h>

static void tests(void) {
    char text[200];
    FILE *f = fopen("/proc/loadavg", "r");
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    double load[3], again[3];
    int running, threads, last, end = 0;
    SHOW(sscanf(text, "%lf %lf %lf %d/%d %d\n%n", load, load + 1, load + 2, &running, &threads, &last, &end));
    CHECK(end == (int)strlen(text) && text[end - 1] == '\n');
    CHECK(running >= 1 && threads >= running && last >= getpid());
    CHECK(strchr(text, '.')[3] == ' '); // two digits

    struct sysinfo i;
    SHOW(sysinfo(&i));
    // A sample may have come in between, of all the processors at most.
    for (int k = 0; k < 3; k++) CHECK(load[k] >= 0 && i.loads[k] / 65536.0 - load[k] < 20 && load[k] - i.loads[k] / 65536.0 < 20);
    SHOW(getloadavg(again, 3));
    f = fopen("/proc/uptime", "r");
    double up, idle;
    SHOW(fscanf(f, "%lf %lf", &up, &idle));
    fclose(f);
    CHECK(up - i.uptime < 5 && i.uptime - up < 5);
    SHOW(i.procs > 0);
}
