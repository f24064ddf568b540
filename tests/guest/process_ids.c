// Credentials: the set*id family, groups, file-system identity, what they forbid.
#include "guest.h"
#include <sys/fsuid.h>
#include <grp.h>
#include <linux/capability.h>

static void ids(const char *when) {
    uid_t r, e, s;
    gid_t a, b, c;
    getresuid(&r, &e, &s);
    getresgid(&a, &b, &c);
    printf("%s: uid %u %u %u gid %u %u %u fs %d %d\n", when, r, e, s, a, b, c, setfsuid(-1), setfsgid(-1));
}

static unsigned effective_caps(void) {
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {};
    syscall(SYS_capget, &h, d);
    return d[0].effective;
}

static void tests(void) {
    ids("root");
    CHECK(effective_caps() != 0);
    say_status("setuid", CHILD(SHOW(setuid(1000)); ids("a"); SHOW(setuid(0)); SHOW(effective_caps())));
    say_status("seteuid", CHILD({
                   SHOW(seteuid(1000));
                   ids("b");
                   SHOW(effective_caps());
                   SHOW(setgroups(0, NULL));
                   SHOW(seteuid(0)); // the saved one
                   CHECK(effective_caps() != 0);
                   ids("c");
               }));
    say_status("setreuid", CHILD({
                   SHOW(setreuid(1000, -1));
                   ids("d");
                   SHOW(setreuid(-1, 2000));
                   ids("e"); // the saved one follows when the real one was set or differs
                   SHOW(setreuid(-1, 0));
                   SHOW(setreuid(2000, 1000));
                   ids("f");
               }));
    say_status("setresuid", CHILD({
                   SHOW(setresuid(1, 2, 3));
                   ids("g");
                   SHOW(setresuid(-1, 3, -1));
                   SHOW(setresuid(4, -1, -1));
                   SHOW(setresuid(3, 1, 2));
                   ids("h");
               }));
    say_status("groups", CHILD({
                   gid_t g[3] = {30, 20, 10};
                   SHOW(setgroups(3, g));
                   SHOW(getgroups(0, NULL));
                   SHOW(getgroups(1, g));
                   SHOW(getgroups(-1, g));
                   gid_t got[3];
                   SHOW(getgroups(3, got));
                   printf("%u %u %u\n", got[0], got[1], got[2]);
                   SHOW(setgroups(70000, g));
                   SHOW(setresgid(5, 6, 7));
                   SHOW(setuid(1000));
                   ids("i");
                   SHOW(setegid(5));
                   SHOW(setegid(8));
                   SHOW(setgroups(1, g));
                   SHOW(setregid(6, 7));
                   ids("j");
               }));
    say_status("files", CHILD({
                   mkdir("mine", 0700);
                   close(open("mine/f", O_CREAT | O_WRONLY, 0600));
                   close(open("o-r", O_CREAT | O_WRONLY, 0604));
                   close(open("g-w", O_CREAT | O_WRONLY, 0020));
                   chown("g-w", 1, 50);
                   chmod("g-w", 0020);
                   chmod(".", 0755);
                   gid_t g = 50;
                   setgroups(1, &g);
                   SHOW(setfsuid(1000));
                   SHOW(setfsuid(-1));
                   SHOW(open("mine/f", O_RDONLY));
                   setfsuid(0);
                   SHOW(seteuid(1000));
                   SHOW(access("mine/f", F_OK)); // by the real one
                   SHOW(faccessat(AT_FDCWD, "mine/f", F_OK, AT_EACCESS));
                   OK(open("o-r", O_RDONLY));
                   SHOW(open("o-r", O_WRONLY));
                   OK(open("g-w", O_WRONLY));
                   SHOW(open("g-w", O_RDONLY));
                   SHOW(mkdir("x", 0777));
                   SHOW(unlink("o-r"));
                   SHOW(chmod("o-r", 0777));
                   SHOW(chown("o-r", 1000, 1000));
                   SHOW(kill(getppid(), 0));
                   SHOW(setpriority(PRIO_PROCESS, 0, -5));
                   SHOW(sethostname("x", 1));
                   SHOW(chroot("/"));
               }));
    say_status("keep", CHILD({
                   SHOW(prctl(PR_GET_KEEPCAPS));
                   SHOW(prctl(PR_SET_KEEPCAPS, 1));
                   SHOW(setresuid(1000, 1000, 1000));
                   SHOW(effective_caps());
                   struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
                   struct __user_cap_data_struct d[2] = {};
                   syscall(SYS_capget, &h, d);
                   CHECK(d[0].permitted != 0);
               }));
    say_status("caps", CHILD({
                   struct __user_cap_header_struct h = {0x1234, 0};
                   struct __user_cap_data_struct d[2] = {};
                   SHOW(syscall(SYS_capget, &h, d));
                   CHECK(h.version == _LINUX_CAPABILITY_VERSION_3);
                   SHOW(syscall(SYS_capset, &h, d));
                   SHOW(effective_caps());
                   SHOW(setuid(1000));
                   d[0].permitted = d[0].effective = 1;
                   SHOW(syscall(SYS_capset, &h, d));
                   h.pid = 99999999;
                   SHOW(syscall(SYS_capget, &h, d));
                   SHOW(prctl(PR_CAPBSET_READ, 0));
                   SHOW(prctl(PR_CAPBSET_READ, 99));
                   SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
                   SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
                   SHOW(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
                   SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0));
               }));
    SHOW(prctl(PR_GET_TIMING));
    SHOW(prctl(PR_SET_TIMING, PR_TIMING_STATISTICAL));
    SHOW(prctl(PR_SET_TIMING, PR_TIMING_TIMESTAMP));
    SHOW(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
    SHOW(prctl(PR_MCE_KILL_GET, 1, 0, 0, 0));
    SHOW(setresuid(-1, -1, -1));
    SHOW(setuid(-1));
    SHOW(setgid(-1));
}
