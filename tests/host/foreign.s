# A 32-bit program, statically linked, of system calls alone: it opens, creates, reads,
# maps, connects, and runs another program. Assembled by `as --32`, linked by `ld -m elf_i386`.
	.section .rodata
passwd:	.asciz "/etc/passwd"
true:	.asciz "/bin/true"
socket:	.asciz "\1\0/tmp/inferward-nobody-listens"
	.section .data
arguments:
	.long true, 0
none:	.long 0
connect:
	.long 0, socket, 32	# descriptor, address, length: of socketcall(2)
unix:	.long 1, 1, 0		# family, type, protocol
ready:	.ascii "ready\n"
line:	.space 64
	.section .text
	.globl _start
_start:	movl $4, %eax		# write
	movl $1, %ebx
	movl $ready, %ecx
	movl $6, %edx
	int $0x80
	movl $3, %eax		# read: the gate
	movl $0, %ebx
	movl $line, %ecx
	movl $64, %edx
	int $0x80
	movl $5, %eax		# open, for reading
	movl $passwd, %ebx
	movl $0, %ecx
	int $0x80
	movl %eax, %ebx
	movl $3, %eax		# read, 7 bytes
	movl $line, %ecx
	movl $7, %edx
	int $0x80
	movl $102, %eax		# socketcall: socket
	movl $1, %ebx
	movl $unix, %ecx
	int $0x80
	movl %eax, connect
	movl $102, %eax		# socketcall: connect, refused
	movl $3, %ebx
	movl $connect, %ecx
	int $0x80
	movl $20, %eax		# getpid
	int $0x80
	movl $213, %eax		# setuid32, to nobody
	movl $65534, %ebx
	int $0x80
	movl $11, %eax		# execve
	movl $true, %ebx
	movl $arguments, %ecx
	movl $none, %edx
	int $0x80
	movl $1, %eax		# exit
	movl $3, %ebx
	int $0x80
