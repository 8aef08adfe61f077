// Threads that take turns: each has a stack of its own and runs until it hands over to another. AddressSanitizer is told of
// every change of stacks.
#pragma once

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(EMULATED_UCONTEXT)
#define EMULATED_UCONTEXT
#endif

#if defined(EMULATED_UCONTEXT)
#include <ucontext.h>
#else
// Saves what a call must keep on the stack in use, its pointer in *from, and goes on where `to` has been saved.
extern "C" void emulated_switch(void** from, void* to) __asm__("emulated_switch");
#endif

#if defined(__x86_64__) && !defined(EMULATED_UCONTEXT)
__asm__(R"(
.text
.globl emulated_switch
emulated_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");
#elif defined(__aarch64__) && !defined(EMULATED_UCONTEXT)
__asm__(R"(
.text
.globl emulated_switch
emulated_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
)");
#endif

namespace emulated {

class Fiber {
public:
    // The stack that the process has.
    Fiber() = default;
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    // Gives the fiber a stack, with a page below it that nobody may touch, on which `body` begins; it never returns.
    void begin(void (*body)()) {
        const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        void* memory =
            mmap(nullptr, stack_size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE) != 0) abort();
        stack = static_cast<char*>(memory) + page;
        size = stack_size;
        prepare(body);
    }

    // Runs another fiber; returns when one hands over to this.
    void hand_over_to(Fiber& other) {
        __sanitizer_start_switch_fiber(&fake_stack, other.stack, other.size);
        change_to(other);
        __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
    }

    // The first that a new fiber does: says whose stack it came from.
    static void arrive_from(Fiber& other) { __sanitizer_finish_switch_fiber(nullptr, &other.stack, &other.size); }

private:
    static constexpr size_t stack_size = 256 * 1024;

    const void* stack = nullptr;
    size_t size = 0;
    void* fake_stack = nullptr;

#if defined(EMULATED_UCONTEXT)
    ucontext_t context;

    void prepare(void (*body)()) {
        getcontext(&context);
        context.uc_stack.ss_sp = const_cast<void*>(stack);
        context.uc_stack.ss_size = size;
        context.uc_link = nullptr;
        makecontext(&context, body, 0);
    }

    void change_to(Fiber& other) { swapcontext(&context, &other.context); }
#else
    void* pointer = nullptr;

    // What emulated_switch finds: registers that are zero, so that a trace of calls ends here, and where to go on.
    void prepare(void (*body)()) {
        void** top = reinterpret_cast<void**>(static_cast<char*>(const_cast<void*>(stack)) + size);
#if defined(__x86_64__)
        top[-2] = reinterpret_cast<void*>(body);
        pointer = top - 8;
#else
        top[-9] = reinterpret_cast<void*>(body);
        pointer = top - 20;
#endif
    }

    void change_to(Fiber& other) { emulated_switch(&pointer, other.pointer); }
#endif
};

}  // namespace emulated
