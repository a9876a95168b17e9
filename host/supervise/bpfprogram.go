package supervise

import (
	"errors"
	"fmt"

	"axprocess/host/internal/kerneltype"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
)

// This file is about the programs in the kernel and what they write.
//
// Invariant: they only read; what they write are our own maps.

// An event: what each has, then an exec's arguments.
const (
	atKind   = 0  // u32
	atTGID   = 4  // u32: the process
	atTID    = 8  // u32: the thread
	atParent = 12 // u32: its parent
	atWhen   = 16 // u64: nanoseconds since boot
	atStart  = 24 // u64: likewise, when it was started
	atPGID   = 32 // u32
	atSID    = 36 // u32
	atCode   = 40 // u32: the thread that is held by vfork; a wait status; the former number of the thread that execs
	atExtra  = 44 // u32: who forked it; whether it is the last thread; the length of the arguments
	atComm   = 48
	commLen  = 16
	headLen  = 64
	argsLen  = 512
)

// The kinds.
const (
	eventFork = iota + 1
	eventExec
	eventExit
	eventFreed
)

const (
	ringLen     = 4 << 20
	maxFollowed = 1 << 16 // processes at once; what has no room is lost, and counted
	pgidIndex   = 2       // PIDTYPE_PGID
	sidIndex    = 3       // PIDTYPE_SID
	pointerLen  = 8
)

// offsets are where fields are, in bytes.
type offsets struct {
	pid, tgid, parent, start, signal, exitCode, mm int16 // of task_struct
	pids, groupCode                                int16 // of signal_struct
	numbers                                        int16 // of struct pid: the number in the first namespace
	argStart, argEnd                               int16 // of mm_struct
}

func findOffsets() (o offsets, err error) {
	kernel, err := kerneltype.Load()
	if err != nil {
		return o, err
	}
	defer kernel.Close()
	for _, f := range []struct {
		of, name string
		to       *int16
	}{
		{"task_struct", "pid", &o.pid}, {"task_struct", "tgid", &o.tgid}, {"task_struct", "real_parent", &o.parent},
		{"task_struct", "start_boottime", &o.start}, {"task_struct", "signal", &o.signal}, {"task_struct", "exit_code", &o.exitCode},
		{"task_struct", "mm", &o.mm}, {"signal_struct", "pids", &o.pids}, {"signal_struct", "group_exit_code", &o.groupCode},
		{"pid", "numbers", &o.numbers}, {"mm_struct", "arg_start", &o.argStart}, {"mm_struct", "arg_end", &o.argEnd},
	} {
		bits, err := kernel.Field(f.of, f.name)
		if err != nil {
			return o, err
		}
		*f.to = int16(bits / 8)
	}
	return o, nil
}

// load makes the maps and attaches the programs.
func (b *bpf) load() error {
	var o offsets
	found := make(chan error, 1)
	go func() {
		var err error
		o, err = findOffsets()
		found <- err
	}()
	err := b.makeMaps()
	if err := errors.Join(<-found, err); err != nil {
		return err
	}
	// Raw tracepoints: for others the library reads all of the kernel's types once
	// more for each program.
	for _, p := range []struct {
		to     string
		instrs asm.Instructions
	}{
		{"task_newtask", b.onFork(o)},
		{"sched_process_exec", b.onExec(o)},
		{"sched_process_exit", b.onExit(o)},
		{"sched_process_free", b.onFreed(o)},
	} {
		program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.RawTracepoint, License: "GPL", Instructions: p.instrs})
		if err == nil {
			b.programs = append(b.programs, program)
			var l link.Link
			if l, err = link.AttachRawTracepoint(link.RawTracepointOptions{Name: p.to, Program: program}); err == nil {
				b.links = append(b.links, l)
			}
		}
		if err != nil {
			b.detach()
			return fmt.Errorf("%s: %w", p.to, err)
		}
	}
	if b.reader, err = ringbuf.NewReader(b.events); err != nil {
		b.detach()
	}
	return err
}

func (b *bpf) makeMaps() (err error) {
	if b.followed, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: maxFollowed, Flags: 1}); err != nil { // BPF_F_NO_PREALLOC
		return err
	}
	if b.events, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: ringLen}); err != nil {
		return err
	}
	b.dropped, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	return err
}

// In all programs: R6 the context, R7 the task whose process decides, R8 the task
// that is told of, R9 the event.

// read copies n bytes at an offset of the kernel's object from points to.
func read(to asm.Register, toAt int32, n int32, from asm.Register, at int16) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R3, from),
		asm.Add.Imm(asm.R3, int32(at)),
		asm.Mov.Reg(asm.R1, to),
		asm.Add.Imm(asm.R1, toAt),
		asm.Mov.Imm(asm.R2, n),
		asm.FnProbeReadKernel.Call(),
	}
}

// load reads a number of the kernel's object that from points to.
func load(to asm.Register, size asm.Size, from asm.Register, at int16) asm.Instructions {
	const scratch = -24
	return append(read(asm.R10, scratch, int32(size.Sizeof()), from, at), asm.LoadMem(to, asm.R10, scratch, size))
}

// ifFollowed goes to the end unless the process of R7 is followed.
func (b *bpf) ifFollowed(o offsets) asm.Instructions {
	return program(read(asm.R10, -4, 4, asm.R7, o.tgid), asm.Instructions{
		asm.LoadMapPtr(asm.R1, b.followed.FD()),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "end"),
	})
}

// fill reserves an event and writes what each has.
func (b *bpf) fill(o offsets, kind int32, size int32) asm.Instructions {
	return program(asm.Instructions{
		asm.LoadMapPtr(asm.R1, b.events.FD()),
		asm.Mov.Imm(asm.R2, size),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnRingbufReserve.Call(),
		asm.JEq.Imm(asm.R0, 0, "lost"),
		asm.Mov.Reg(asm.R9, asm.R0),
		asm.StoreImm(asm.R9, atKind, int64(kind), asm.Word),
		asm.FnKtimeGetBootNs.Call(),
		asm.StoreMem(asm.R9, atWhen, asm.R0, asm.DWord),
	},
		read(asm.R9, atTGID, 4, asm.R8, o.tgid),
		read(asm.R9, atTID, 4, asm.R8, o.pid),
		read(asm.R9, atStart, 8, asm.R8, o.start),
		load(asm.R1, asm.DWord, asm.R8, o.parent),
		read(asm.R9, atParent, 4, asm.R1, o.tgid))
}

// group writes the group and session, which a task has until it is reaped.
func (o offsets) group() asm.Instructions {
	pids := func(i, to int32) asm.Instructions {
		return program(
			load(asm.R1, asm.DWord, asm.R8, o.signal),
			load(asm.R1, asm.DWord, asm.R1, o.pids+int16(i)*pointerLen),
			read(asm.R9, to, 4, asm.R1, o.numbers))
	}
	return append(pids(pgidIndex, atPGID), pids(sidIndex, atSID)...)
}

// submit hands the event over and ends the program; without room for one that is
// counted.
func (b *bpf) submit() asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R9),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRingbufSubmit.Call(),
		asm.Ja.Label("end"),
		asm.StoreImm(asm.R10, -8, 0, asm.Word).WithSymbol("lost"),
		asm.LoadMapPtr(asm.R1, b.dropped.FD()),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, -8),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "end"),
		asm.Mov.Imm(asm.R1, 1),
		asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("end"),
		asm.Return(),
	}
}

func program(parts ...asm.Instructions) asm.Instructions {
	var all asm.Instructions
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

// cloneVfork is CLONE_VFORK of clone(2).
const cloneVfork = 0x4000

// onFork is told of a task before it runs, by who makes it, with the flags of clone
// (kernel: copy_process; sched_process_fork has no flags).
func (b *bpf) onFork(o offsets) asm.Instructions {
	return program(asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.FnGetCurrentTask.Call(),
		asm.Mov.Reg(asm.R7, asm.R0),
		asm.LoadMem(asm.R8, asm.R6, 0, asm.DWord),
	}, b.ifFollowed(o),
		// A new process is followed, before it runs; a thread's process is already.
		read(asm.R10, -4, 4, asm.R8, o.tgid),
		read(asm.R10, -16, 8, asm.R8, o.start),
		asm.Instructions{
			asm.LoadMapPtr(asm.R1, b.followed.FD()),
			asm.Mov.Reg(asm.R2, asm.R10),
			asm.Add.Imm(asm.R2, -4),
			asm.Mov.Reg(asm.R3, asm.R10),
			asm.Add.Imm(asm.R3, -16),
			asm.Mov.Imm(asm.R4, 0),
			asm.FnMapUpdateElem.Call(),
			asm.JNE.Imm(asm.R0, 0, "lost"), // it has no room
		}, b.fill(o, eventFork, headLen), o.group(),
		read(asm.R9, atExtra, 4, asm.R7, o.tgid),
		asm.Instructions{
			asm.StoreImm(asm.R9, atCode, 0, asm.Word),
			asm.LoadMem(asm.R2, asm.R6, 8, asm.DWord),
			asm.And.Imm(asm.R2, cloneVfork),
			asm.JEq.Imm(asm.R2, 0, "unheld"),
		},
		read(asm.R9, atCode, 4, asm.R7, o.pid),
		asm.Instructions{asm.Mov.Imm(asm.R0, 0).WithSymbol("unheld")},
		b.submit())
}

// firstArgument begins a program about the task that is a tracepoint's first argument:
// R6 has the arguments, R7 and R8 the task.
func firstArgument() asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R7, asm.R6, 0, asm.DWord),
		asm.Mov.Reg(asm.R8, asm.R7),
	}
}

func (b *bpf) onExec(o offsets) asm.Instructions {
	return program(firstArgument(), b.ifFollowed(o), b.fill(o, eventExec, headLen+argsLen), o.group(), asm.Instructions{
		asm.LoadMem(asm.R1, asm.R6, 8, asm.DWord),
		asm.StoreMem(asm.R9, atCode, asm.R1, asm.Word),
		asm.Mov.Reg(asm.R1, asm.R9),
		asm.Add.Imm(asm.R1, atComm),
		asm.Mov.Imm(asm.R2, commLen),
		asm.FnGetCurrentComm.Call(),
	},
		// R8, the task, isn't needed any more: it becomes where the arguments are.
		load(asm.R7, asm.DWord, asm.R7, o.mm),
		load(asm.R8, asm.DWord, asm.R7, o.argStart),
		load(asm.R2, asm.DWord, asm.R7, o.argEnd),
		asm.Instructions{
			asm.Sub.Reg(asm.R2, asm.R8),
			asm.StoreMem(asm.R9, atExtra, asm.R2, asm.Word),
			// What is behind the arguments is the environment: it is cut off later.
			asm.Mov.Reg(asm.R1, asm.R9),
			asm.Add.Imm(asm.R1, headLen),
			asm.Mov.Imm(asm.R2, argsLen),
			asm.Mov.Reg(asm.R3, asm.R8),
			asm.FnProbeReadUser.Call(),
		}, b.submit())
}

func (b *bpf) onExit(o offsets) asm.Instructions {
	return program(firstArgument(), b.ifFollowed(o), b.fill(o, eventExit, headLen), o.group(),
		read(asm.R9, atCode, 4, asm.R7, o.exitCode),
		asm.Instructions{
			asm.LoadMem(asm.R2, asm.R6, 8, asm.DWord),
			asm.And.Imm(asm.R2, 1),
			asm.StoreMem(asm.R9, atExtra, asm.R2, asm.Word),
			asm.JEq.Imm(asm.R2, 0, "coded"),
		},
		// The last thread has set it (kernel: synchronize_group_exit).
		load(asm.R1, asm.DWord, asm.R7, o.signal),
		read(asm.R9, atCode, 4, asm.R1, o.groupCode),
		asm.Instructions{asm.Mov.Imm(asm.R0, 0).WithSymbol("coded")},
		b.submit())
}

// onFreed comes a moment after somebody has reaped the task, when its number may be
// another's already: the start time tells.
func (b *bpf) onFreed(o offsets) asm.Instructions {
	return program(firstArgument(),
		load(asm.R9, asm.Word, asm.R7, o.pid),
		load(asm.R2, asm.Word, asm.R7, o.tgid),
		asm.Instructions{asm.JNE.Reg(asm.R9, asm.R2, "end")},
		b.ifFollowed(o),
		asm.Instructions{asm.LoadMem(asm.R9, asm.R0, 0, asm.DWord)},
		load(asm.R2, asm.DWord, asm.R7, o.start),
		asm.Instructions{
			asm.JNE.Reg(asm.R9, asm.R2, "end"),
			asm.LoadMapPtr(asm.R1, b.followed.FD()),
			asm.Mov.Reg(asm.R2, asm.R10),
			asm.Add.Imm(asm.R2, -4),
			asm.FnMapDeleteElem.Call(),
		}, b.fill(o, eventFreed, headLen), b.submit())
}
