// What this processor can run. Compiled for any x86-64, and giving 0 on everything else.
#include "blocks.h"

#if defined(__x86_64__)
#include <cpuid.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

struct Registers {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// All zeros where the processor does not know the leaf.
Registers identification(unsigned leaf, unsigned subleaf) {
    Registers r;
    __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
    return r;
}

bool has(unsigned bits, unsigned wanted) { return (bits & wanted) == wanted; }
constexpr unsigned bit(int number) { return 1u << number; }

// The registers that the operating system saves when it changes from one thread to another (XCR0).
unsigned saved_registers() {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

// A process has to ask for the large tile registers before it touches them.
bool tiles_permitted() {
#if defined(__linux__) && defined(SYS_arch_prctl)
    constexpr int request_permission = 0x1023, tile_data = 18;
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
    return false;
#endif
}

int levels() {
    const unsigned basic = identification(1, 0).ecx;
    const unsigned xsave = bit(27), avx = bit(28), fma = bit(12);
    if (!has(basic, xsave | avx | fma)) return 0;

    const unsigned saved = saved_registers();
    const unsigned vectors = bit(1) | bit(2), wide_vectors = vectors | bit(5) | bit(6) | bit(7);
    const unsigned tiles = wide_vectors | bit(17) | bit(18);
    const Registers extended = identification(7, 0);

    const unsigned avx2 = bit(5), avx512 = bit(16) | bit(17) | bit(30) | bit(31);  // F, DQ, BW, VL
    if (!has(saved, vectors) || !has(extended.ebx, avx2)) return 0;
    if (!has(saved, wide_vectors) || !has(extended.ebx, avx512)) return 1;

    const unsigned amx = bit(22) | bit(24);  // BF16, TILE
    const unsigned avx512_bf16 = bit(5);
    const bool able = has(extended.edx, amx) && has(identification(7, 1).eax, avx512_bf16) && has(saved, tiles);
    return able && tiles_permitted() ? 7 : 3;
}

}  // namespace

extern "C" int neocog_processor(void) { return levels(); }

#else

extern "C" int neocog_processor(void) { return 0; }

#endif
