package supervise

import (
	"os/exec"
	"strconv"

	"golang.org/x/sys/unix"
)

// This file is about what does not work below a tracer, which is told when it is
// executed: tools that trace themselves, and programs that give rights to whoever
// executes them. execve(2): these rights are ignored if the process is being
// traced; unless the tracer has CAP_SYS_PTRACE (kernel: ptracer_capable).

// tracingTools are programs that can't work below a tracer.
var tracingTools = map[string]bool{"strace": true, "ltrace": true, "gdb": true, "lldb": true, "rr": true, "dlv": true}

// warnOf says what does not work below a tracer when it is executed.
func (t *tracer) warnOf(pid int, comm string, args []string) {
	if tracingTools[comm] {
		t.k.warn("%s (%d) can't trace what axp traces: use --follow=proc", comm, pid)
	}
	if t.privileged {
		return
	}
	if why := givesRights(pid, args); why != "" {
		t.k.warn("%s (%d) %s and does not get these rights below a tracer: use --follow=proc", comm, pid, why)
	}
}

// givesRights says why the program that a process executes would give it more
// rights, or "".
func givesRights(pid int, args []string) string {
	file := "/proc/" + strconv.Itoa(pid) + "/exe"
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil {
		// It may be executed but not read, as sudo is on some systems: then the
		// kernel doesn't tell what it is, and its name has to do.
		if len(args) == 0 {
			return ""
		}
		if file, err = exec.LookPath(args[0]); err != nil || unix.Stat(file, &st) != nil {
			return ""
		}
	}
	switch {
	case st.Mode&unix.S_ISUID != 0:
		return "is set-user-id"
	case st.Mode&unix.S_ISGID != 0 && st.Mode&unix.S_IXGRP != 0: // without: mandatory locking, once
		return "is set-group-id"
	}
	if n, err := unix.Getxattr(file, "security.capability", nil); err == nil && n > 0 {
		return "has file capabilities"
	}
	return ""
}

// mayTraceAny says whether this thread has CAP_SYS_PTRACE.
func mayTraceAny() bool {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // 32 capabilities each
	return unix.Capget(&head, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_SYS_PTRACE) != 0
}
