# Process entry and what the compiler expects of a C library, for x86_64.
# Included by wire::program! with AT&T syntax.

        .section .text._start,"ax",@progbits
        .globl  _start
        .type   _start,@function
_start:
        xorl    %ebp, %ebp              # the outermost frame
        movq    %rsp, %rbx              # argc is here
        andq    $-16, %rsp
        # Apply R_X86_64_RELATIVE (8): *(base + offset) = base + addend.
        .hidden __ehdr_start
        .hidden _DYNAMIC
        leaq    __ehdr_start(%rip), %rdi
        leaq    _DYNAMIC(%rip), %rsi
        movl    $7, %eax                # DT_RELA: the table
        call    value_of
        leaq    (%rdi,%rax), %rdx
        leaq    _DYNAMIC(%rip), %rsi
        movl    $8, %eax                # DT_RELASZ: its bytes
        call    value_of
        leaq    (%rdx,%rax), %rcx       # end of the table
5:      cmpq    %rcx, %rdx
        jae     7f
        cmpl    $8, 8(%rdx)
        jne     6f
        movq    (%rdx), %rax
        movq    16(%rdx), %rsi
        addq    %rdi, %rsi
        movq    %rsi, (%rdi,%rax)
6:      addq    $24, %rdx
        jmp     5b
        # The kernel leaves a gap of random length, up to two pages, between the
        # strings and the pointers to them (ASLR). Moved up, to below the lowest
        # string, the pointers and all frames are as few pages as can be.
7:      movq    8(%rbx), %rdi           # argv[0], or null
        movq    (%rbx), %rcx
        leaq    16(%rbx,%rcx,8), %rsi   # the environment
8:      movq    (%rsi), %rax
        addq    $8, %rsi
        testq   %rax, %rax
        jnz     8b                      # behind its null pointer now
        # The auxiliary vector: AT_EXECFN (31) is the highest string of all.
        movq    %rsi, %r13
        movl    $31, %eax
        call    value_of
        movq    %rax, %r12
        movq    %r13, %rsi
        andq    $-16, %rdi
        cmpq    %rsi, %rdi
        jbe     9f
        movq    %rsi, %rcx
        subq    %rbx, %rcx
        shrq    $3, %rcx
        subq    $8, %rsi
        subq    $8, %rdi
        std
        rep     movsq
        cld
        leaq    8(%rdi), %rbx
        movq    %rbx, %rsp
        andq    $-16, %rsp
        # The stack is far from everything else, and has two pages of page tables
        # to itself. Moved to right behind .bss, it shares those of the program.
        # Where that cannot be, it stays.
9:      xorl    %r14d, %r14d            # how far it has been moved
        testq   %r12, %r12
        jz      15f
        # The kernel must let us say where the arguments are then, for ps(1):
        # prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0).
        subq    $16, %rsp
        movl    $157, %eax
        movl    $35, %edi
        movl    $15, %esi
        movq    %rsp, %rdx
        xorl    %r10d, %r10d
        xorl    %r8d, %r8d
        syscall
        addq    $16, %rsp
        testq   %rax, %rax
        jnz     15f
        # Its end: the string's NUL, a word of zeroes, the end of a page.
        movq    %r12, %rdi
        call    strlen
        leaq    4104(%r12,%rax), %r12
        andq    $-4096, %r12
        # What is kept of it: no call of ours goes as deep. The rest, down to the
        # gap that the kernel leaves below it: munmap(2).
        movq    %rsp, %r13
        andq    $-4096, %r13
        subq    $0x1c000, %r13
        leaq    -0x100000(%r13), %rdi
        movl    $0x100000, %esi
        movl    $11, %eax
        syscall
        # mremap(old, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, new), with a page
        # that nobody can write to between .bss and its lowest.
        .hidden _end
        leaq    8191+_end(%rip), %r8
        andq    $-4096, %r8
        movq    %r13, %rdi
        movq    %r12, %rsi
        subq    %r13, %rsi
        movq    %rsi, %rdx
        movl    $3, %r10d
        movl    $25, %eax
        syscall
        cmpq    %r8, %rax
        jne     15f
        movq    %r8, %r14
        subq    %r13, %r14
        addq    %r14, %rsp
        addq    %r14, %rbx
        # Two lists of strings, each with a null pointer behind it.
        leaq    8(%rbx), %rsi
        movl    $2, %ecx
13:     movq    (%rsi), %rax
        testq   %rax, %rax
        jz      14f
        addq    %r14, %rax
        movq    %rax, (%rsi)
        addq    $8, %rsi
        jmp     13b
14:     addq    $8, %rsi
        decl    %ecx
        jnz     13b
15:     movq    %rbx, %rdi
        movq    %r14, %rsi
        call    rust_start
        ud2
        .size   _start, .-_start

        # In: %rsi, pairs of tag and value up to tag 0; %rax, a tag.
        # Out: %rax, its value, or 0. Changes %rsi.
        .type   value_of,@function
value_of:
        cmpq    $0, (%rsi)
        je      1f
        cmpq    %rax, (%rsi)
        je      2f
        addq    $16, %rsi
        jmp     value_of
1:      xorl    %eax, %eax
        ret
2:      movq    8(%rsi), %rax
        ret
        .size   value_of, .-value_of

        .section .text.memcpy,"ax",@progbits
        .globl  memcpy
        .type   memcpy,@function
memcpy:
        movq    %rdi, %rax
        movq    %rdx, %rcx
        rep     movsb
        ret
        .size   memcpy, .-memcpy

        .section .text.memmove,"ax",@progbits
        .globl  memmove
        .type   memmove,@function
memmove:
        movq    %rdi, %rax
        movq    %rdx, %rcx
        movq    %rdi, %r8
        subq    %rsi, %r8
        cmpq    %rdx, %r8               # does the target begin inside the source?
        jb      1f
        rep     movsb
        ret
1:      leaq    -1(%rdi,%rdx), %rdi
        leaq    -1(%rsi,%rdx), %rsi
        std
        rep     movsb
        cld
        ret
        .size   memmove, .-memmove

        .section .text.memset,"ax",@progbits
        .globl  memset
        .type   memset,@function
memset:
        movq    %rdi, %r8
        movl    %esi, %eax
        movq    %rdx, %rcx
        rep     stosb
        movq    %r8, %rax
        ret
        .size   memset, .-memset

        .section .text.memcmp,"ax",@progbits
        .globl  memcmp
        .globl  bcmp
        .type   memcmp,@function
        .type   bcmp,@function
memcmp:
bcmp:
        xorl    %eax, %eax
        xorl    %ecx, %ecx
1:      cmpq    %rdx, %rcx
        je      2f
        movzbl  (%rdi,%rcx), %eax
        movzbl  (%rsi,%rcx), %r8d
        incq    %rcx
        subl    %r8d, %eax
        je      1b
2:      ret
        .size   memcmp, .-memcmp

        .section .text.strlen,"ax",@progbits
        .globl  strlen
        .type   strlen,@function
strlen:
        xorl    %eax, %eax
1:      cmpb    $0, (%rdi,%rax)
        je      2f
        incq    %rax
        jmp     1b
2:      ret
        .size   strlen, .-strlen

        # The precompiled core library names it; nothing of ours unwinds.
        .weak   rust_eh_personality
        .type   rust_eh_personality,@function
rust_eh_personality:
        ud2
        .text
