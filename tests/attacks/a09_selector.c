// A9: writing the selector. Meaningful only with a guard. The page can be read, never written.
#include "attack.h"
static sigjmp_buf back;
static void segv(int s) { siglongjmp(back, 1); }
int main(void) {
    signal(SIGSEGV, segv);
    int found = 0;
    for (unsigned slot = 0; slot < 64; slot++) {
        volatile unsigned char *sel = (void *)(TRUSTED + slot * PAGE);
        if (sigsetjmp(back, 1) == 0) { *sel = 0; HOLE("selector of slot %u written", slot); } else found++;
        volatile unsigned char *alias = (void *)(JUMP_ALIAS + slot * PAGE);
        if (sigsetjmp(back, 1) == 0) { *alias = 0xcc; HOLE("alias of the jump table written"); }
        volatile unsigned char *text = (void *)(KERNEL + slot * PAGE);
        if (sigsetjmp(back, 1) == 0) { *text = 0xcc; HOLE("guest kernel text written"); }
        volatile unsigned long *heap = (void *)(HEAP + slot * PAGE);
        if (sigsetjmp(back, 1) == 0) { unsigned long v = *heap; HOLE("guest kernel heap read: %lx", v); }
        volatile unsigned long *ram = (void *)(RAM_WINDOW + slot * PAGE);
        if (sigsetjmp(back, 1) == 0) { unsigned long v = *ram; HOLE("RAM window read: %lx", v); }
    }
    return holes;
}
