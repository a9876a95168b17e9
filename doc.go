// Package axprocess is the life of POSIX processes as a library: for kernels,
// sandboxes, emulators, interpreters and supervisors that need this bookkeeping
// and want it right. The rules are Linux's, compared with the live kernel
// (docs/semantics.md, docs/conformance.md). No real process is touched.
//
//	table := axprocess.NewTable()
//	init, err := table.NewInit(1).Build()
//	child, err := init.Fork(axprocess.NextPID).Build()
//	err = child.Exit()
//	result, err := init.Wait(ctx, axprocess.WaitAny, 0)
//
// # Vocabulary
//
// A [Table] is one world of processes. Each term is defined here once; the names
// are POSIX's.
//
//   - pid, tid, pgid, sid: the number that a process, a thread, a process group, a
//     session goes by. They share one number space: a number is in use while
//     anything goes by it, and is not given again before.
//   - unique id: counts up and is never given again; it names a process where a
//     pid only names a moment.
//   - [Process]: from fork until it is freed. Its parent forked it, or adopted it.
//   - init: a table's first process. It has no parent and can't end. A namespace
//     below the table's own has one too, which can.
//   - [Thread]: what runs in a process. The leader is the thread that goes by the
//     process's number. An embedder without threads never makes one.
//   - [ProcessGroup]: processes that a shell treats as one job. Its leader is the
//     member whose pid is the pgid; it can be gone.
//   - [Session]: groups that share a terminal. Its leader is the process that made
//     it; it can be gone.
//   - [Terminal]: what a session can have one of. One of the session's groups is in
//     the foreground, the others are in the background.
//   - zombie: a process that has exited and was not waited for. It still has its
//     number, parent, group and session.
//   - reap, free: end a zombie. A wait that consumes an end does it, and
//     [Process.Free].
//   - leader-exited: a process whose leader has exited while other threads live. It
//     is no zombie and can't be waited for.
//   - orphan: a process whose parent has exited. It goes to its reaper: the nearest
//     ancestor that is a subreaper, else the init.
//   - subreaper: a process that adopts what is orphaned below it.
//   - orphaned group: one in which no member has a parent in another group of the
//     same session: nobody is left who would continue it.
//   - stop, continue: what job control does to whole processes.
//   - disposition: what a process does on a signal. mask: the signals that a thread
//     doesn't let through now. pending: sent, and not yet taken.
//   - exit signal: what a parent is sent when its child ends: SIGCHLD, but for
//     clone(2)'s other uses.
//   - [Namespace]: numbers of their own for a process and what descends from it. Its
//     first process is its init, with number 1; when that exits, all in it end.
//   - wait: learn of a child's end, stop or continue. A wait consumes what it
//     reports, unless WNOWAIT is given.
//
// # Rules of the house
//
// An operation checks everything first and changes nothing if it refuses. A
// refusal is an [*Error] with the errno that the system call gives.
//
// One lock a table guards all structure. No user code runs under it, nothing
// blocks under it. Look-ups by number take none. All methods may be called from
// any goroutine.
//
// Lifetimes are events, not references: a process ends when it is freed, whoever
// holds a handle. A held handle pins itself, its data, its group, its session and
// the table; nothing else.
//
// [Table.Check] verifies every invariant, each by its number (check.go).
package axprocess
