package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"axprocess"
	"axprocess/host/internal/kerneltype"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// This file is about what /proc doesn't tell of a process: whether it is a child
// subreaper, and whether its children end without a wait. The kernel's own table
// is read by a BPF task iterator, where we may.
//
// Invariants:
//   - nothing of a process is changed: the program only reads;
//   - a process is named by number and start time, as everywhere in host;
//   - the kernel's numbers are those of the initial pid namespace, so elsewhere
//     nothing is read, rather than numbers that mean other processes.

// Untold is what /proc doesn't tell of one process.
type Untold struct {
	PID            axprocess.PID
	Start          uint64 // when it started, in clock ticks since boot, as in /proc/PID/stat
	Subreaper      bool   // PR_SET_CHILD_SUBREAPER
	IgnoresSIGCHLD bool   // the disposition of SIGCHLD is SIG_IGN
	NoChildWait    bool   // SA_NOCLDWAIT
}

// ErrUntold says that this process may not, or can't, read what /proc doesn't
// tell: no privilege for BPF, a kernel without type information, or a pid
// namespace of its own.
var ErrUntold = errors.New("the kernel's own process table can't be read from here")

// ReadUntold returns what /proc doesn't tell, for each process of the host, in
// no order. It needs CAP_BPF and CAP_PERFMON, a kernel with BTF, and the initial
// pid namespace; without, the error wraps ErrUntold. Some 20 ms, most of them to
// load the kernel's types. (Kernel: bpf_iter, task_struct.signal
// is_child_subreaper, sighand.action.)
func ReadUntold() ([]Untold, error) {
	if err := inInitialNamespace(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUntold, err)
	}
	raw, err := iterateTasks()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUntold, err)
	}
	return decodeUntold(raw)
}

// initialPIDNamespace is the inode of the first pid namespace (kernel:
// PROC_PID_INIT_INO).
const initialPIDNamespace = 0xEFFFFFFC

func inInitialNamespace() error {
	var st syscall.Stat_t
	if err := syscall.Stat("/proc/self/ns/pid", &st); err != nil {
		return &os.PathError{Op: "stat", Path: "/proc/self/ns/pid", Err: err}
	}
	if st.Ino != initialPIDNamespace {
		return errors.New("this is a pid namespace of its own, whose numbers the kernel's table doesn't have")
	}
	return nil
}

// What the program writes for each process.
const (
	untoldLen     = 24
	atPID         = 0  // u32
	atSubreaper   = 4  // u32: the byte that holds the bit
	atStart       = 8  // u64: nanoseconds since boot
	atHandling    = 16 // u64: bit 0 SIGCHLD is ignored, the rest sa_flags shifted by 1
	saNoChildWait = 2
	ticksNS       = 10_000_000 // a clock tick of /proc, USER_HZ being 100
)

func decodeUntold(raw []byte) ([]Untold, error) {
	if len(raw)%untoldLen != 0 {
		return nil, fmt.Errorf("the task iterator gave %d bytes, which are no whole records of %d", len(raw), untoldLen)
	}
	all := make([]Untold, 0, len(raw)/untoldLen)
	for ; len(raw) > 0; raw = raw[untoldLen:] {
		handling := binary.NativeEndian.Uint64(raw[atHandling:])
		all = append(all, Untold{
			PID:            axprocess.PID(binary.NativeEndian.Uint32(raw[atPID:])),
			Start:          binary.NativeEndian.Uint64(raw[atStart:]) / ticksNS,
			Subreaper:      binary.NativeEndian.Uint32(raw[atSubreaper:]) != 0,
			IgnoresSIGCHLD: handling&1 != 0,
			NoChildWait:    handling>>1&saNoChildWait != 0,
		})
	}
	return all, nil
}

func iterateTasks() ([]byte, error) {
	fields, err := taskFields()
	if err != nil {
		return nil, err
	}
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:         ebpf.Tracing,
		AttachType:   ebpf.AttachTraceIter,
		AttachTo:     "task",
		License:      "GPL",
		Instructions: fields.program(),
	})
	if err != nil {
		return nil, err
	}
	defer program.Close()
	iter, err := link.AttachIter(link.IterOptions{Program: program})
	if err != nil {
		return nil, err
	}
	defer iter.Close()
	r, err := iter.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// fields are the offsets of what the program reads, in bytes.
type fields struct {
	pid, tgid, start, signal, sighand int16 // of task_struct
	subreaper                         int16 // of signal_struct: the byte
	subreaperBit                      int32
	handler, flags                    int16 // of sighand_struct: of SIGCHLD's action
}

func taskFields() (f fields, err error) {
	kernel, err := kerneltype.Load()
	if err != nil {
		return f, err
	}
	defer kernel.Close()
	at := func(of, name string) (bits uint32) {
		bits, ferr := kernel.Field(of, name)
		if err == nil {
			err = ferr
		}
		return bits
	}
	f.pid, f.tgid = int16(at("task_struct", "pid")/8), int16(at("task_struct", "tgid")/8)
	f.start = int16(at("task_struct", "start_boottime") / 8)
	f.signal, f.sighand = int16(at("task_struct", "signal")/8), int16(at("task_struct", "sighand")/8)
	bit := at("signal_struct", "is_child_subreaper")
	f.subreaper, f.subreaperBit = int16(bit/8), int32(bit%8)
	action := int16(at("sighand_struct", "action")/8) + int16(axprocess.SIGCHLD-1)*actionLen
	f.handler, f.flags = action, action+8
	return f, err
}

// actionLen is the size of the kernel's k_sigaction on 64-bit machines: handler,
// flags, restorer, mask.
const actionLen = 32

// program writes a record for each thread that leads a process.
func (f fields) program() asm.Instructions {
	const record = -untoldLen
	return asm.Instructions{
		// R6 the sequence to write to, R7 the task; no task: the end.
		asm.LoadMem(asm.R6, asm.R1, 0, asm.DWord),
		asm.LoadMem(asm.R7, asm.R1, 8, asm.DWord),
		asm.JEq.Imm(asm.R7, 0, "end"),
		asm.LoadMem(asm.R6, asm.R6, 0, asm.DWord),
		asm.LoadMem(asm.R1, asm.R7, f.pid, asm.Word),
		asm.LoadMem(asm.R2, asm.R7, f.tgid, asm.Word),
		asm.JNE.Reg(asm.R1, asm.R2, "end"),
		asm.StoreMem(asm.R10, record+atPID, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, asm.R7, f.start, asm.DWord),
		asm.StoreMem(asm.R10, record+atStart, asm.R1, asm.DWord),
		// A task without signals or handlers is on its way out: the loads give 0.
		asm.LoadMem(asm.R1, asm.R7, f.signal, asm.DWord),
		asm.LoadMem(asm.R1, asm.R1, f.subreaper, asm.Byte),
		asm.And.Imm(asm.R1, 1<<f.subreaperBit),
		asm.StoreMem(asm.R10, record+atSubreaper, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, asm.R7, f.sighand, asm.DWord),
		asm.LoadMem(asm.R2, asm.R1, f.handler, asm.DWord),
		asm.LoadMem(asm.R3, asm.R1, f.flags, asm.DWord),
		asm.LSh.Imm(asm.R3, 1),
		asm.JNE.Imm(asm.R2, 1, "handled"), // SIG_IGN
		asm.Or.Imm(asm.R3, 1),
		asm.StoreMem(asm.R10, record+atHandling, asm.R3, asm.DWord).WithSymbol("handled"),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, record),
		asm.Mov.Imm(asm.R3, untoldLen),
		asm.FnSeqWrite.Call(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("end"),
		asm.Return(),
	}
}
