// A8: ways into the host that are not the 64-bit `syscall` of an application.
#include "attack.h"

static void int80(void *nr) { long r; asm volatile("int $0x80" : "=a"(r) : "a"(*(long *)nr), "b"(0) : "memory"); if (r >= 0) HOLE("int 0x80 nr %ld gives %ld", *(long *)nr, r); }
static void sysenter_(void *nr) { asm volatile("mov %%rsp, %%rbp\n sysenter" :: "a"(*(long *)nr), "b"(0) : "memory", "rbp"); }
static void vsyscall(void *at) { long r = ((long (*)(long))*(unsigned long *)at)(0); printf("vsyscall answers\n"); }
static void lcall(void *unused) { struct { unsigned off; unsigned short seg; } __attribute__((packed)) far = {0x1000, 0x23}; asm volatile("lcall *%0" :: "m"(far) : "memory"); }
static void gs0(void *unused) { asm volatile("mov %0, %%gs" :: "r"(0) : "memory"); getppid(); sched_yield(); for (volatile int i = 0; i < 1000; i++); syscall(SYS_gettid); }

int main(void) {
    long nrs[] = {1, 2, 3, 5, 11, 20, 102, 120, 172, 0x40000014, 384};
    for (unsigned i = 0; i < COUNT(nrs); i++) {
        int st = in_child(int80, &nrs[i]);
        if (!WIFSIGNALED(st) && st != 0) HOLE("int 0x80 nr %ld: status %#x", nrs[i], st);
        in_child(sysenter_, &nrs[i]);
    }
    in_child(lcall, 0);
    unsigned long v[] = {0xffffffffff600000, 0xffffffffff600400, 0xffffffffff600800};
    for (int i = 0; i < 3; i++) in_child(vsyscall, &v[i]);
    // x32 and numbers that are nobody's: ENOSYS each.
    long odd[] = {0x40000000, 0x40000027, 0x40000000 | 59, 0x40000000 | 520, 463, 511, 512, 547, 548, 1000, 0x7fffffff, -1, -2, -4096, 0x80000000,
                  0xffffffff, 1l << 32, (1l << 32) | 39, 1l << 63, 0x7fffffffffffffff};
    for (unsigned i = 0; i < COUNT(odd); i++) {
        long r = raw(odd[i], 0, 0, 0, 0, 0, 0);
        // The processor's number is 32 bits wide to Linux: the upper half is ignored.
        if (r != -ENOSYS && !((odd[i] & 0xffffffff) == 39 && r == getpid()) && !((odd[i] & 0xffffffff) == 0 && r < 0)) HOLE("number %#lx gives %ld", odd[i], r);
    }
    // From memory made executable at run time, in several shapes; from an odd address; across a page seam.
    unsigned char code[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};            // mov $39, %eax; syscall; ret
    unsigned char code2[] = {0x31, 0xc0, 0xb0, 39, 0x90, 0x0f, 0x05, 0xc3};  // xor; mov al
    unsigned char *jit = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (jit != MAP_FAILED) {
        int offs[] = {0, 1, 7, PAGE - 7, PAGE - 6, PAGE - 5, PAGE - 1, 2 * PAGE - 3};
        for (unsigned i = 0; i < COUNT(offs); i++) {
            memcpy(jit + offs[i], code, sizeof code);
            for (int k = 0; k < 3; k++)
                if (((long (*)(void))(jit + offs[i]))() != getpid()) HOLE("JIT getpid");
            memcpy(jit + offs[i], code2, sizeof code2);
            for (int k = 0; k < 3; k++)
                if (((long (*)(void))(jit + offs[i]))() != getpid()) HOLE("JIT getpid 2");
        }
    }
    // The host's pid must not be seen anywhere: a call that reached the host would show it.
    unsigned char *p = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(p, code, sizeof code);
    mprotect(p, PAGE, PROT_READ | PROT_EXEC);
    if (((long (*)(void))p)() != getpid()) HOLE("getpid of made-executable memory");
    // Jumps into the vDSO's and kernel text's own syscall instructions: getpid (39) there must be the guest's.
    unsigned long at[4096]; int n = 0;
    FILE *m = fopen("/proc/self/maps", "r");
    char line[512];
    while (m && fgets(line, sizeof line, m)) {
        unsigned long a, b; char perm[8];
        if (sscanf(line, "%lx-%lx %7s", &a, &b, perm) == 3 && strstr(line, "[vdso]"))
            for (unsigned long q = a; q + 2 < b; q++)
                if (*(unsigned char *)q == 0x0f && *(unsigned char *)(q + 1) == 5 && n < 4096) at[n++] = q;
    }
    printf("%d syscall instructions in the vDSO\n", n);
    for (int i = 0; i < n; i++) {
        pid_t c = fork();
        if (!c) {
            alarm(5);
            // `call` onto it with rax = exit_group(42): the guest kernel's exit, or a fault further on.
            register long rax asm("rax") = SYS_exit_group; register long rdi asm("rdi") = 42;
            asm volatile("call *%2" :: "r"(rax), "r"(rdi), "r"(at[i]) : "memory", "rcx", "r11");
            _exit(1);
        }
        int st; waitpid(c, &st, 0);
        if (!WIFEXITED(st) || WEXITSTATUS(st) != 42) HOLE("vDSO syscall: status %#x", st);
    }
    // Losing GS loses only oneself.
    in_child(gs0, 0);
    if (getppid() <= 0) HOLE("broken");
    return holes;
}
