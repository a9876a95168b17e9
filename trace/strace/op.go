package strace

// This file is about the system calls that make process life: the only ones that
// are read with their arguments and results.

// Op is a system call that matters for process life.
type Op uint8

// The calls. Those that do the same under several names share one.
const (
	Other Op = iota // any call that does not matter
	Fork
	Vfork
	Clone
	Clone3
	Execve
	Exit
	ExitGroup
	Wait4
	Waitid
	Setpgid
	Setsid
	Getpgid
	Getpgrp
	Getsid
	Getpid
	Getppid
	Gettid
	SetTidAddress
	Kill
	Tkill
	Tgkill
	Sigqueue
	Tgsigqueue
	Prctl
	Sigaction
	Unshare
	Setns
	PidfdOpen
	PidfdSend
	Close
	Ioctl
	Restart
	Credentials // who may signal whom can change
)

var ops = map[string]Op{
	"fork": Fork, "vfork": Vfork, "clone": Clone, "clone2": Clone, "__clone2": Clone, "clone3": Clone3,
	"execve": Execve, "execveat": Execve, "execv": Execve,
	"exit": Exit, "_exit": Exit, "exit_group": ExitGroup,
	"wait4": Wait4, "waitpid": Wait4, "osf_wait4": Wait4, "waitid": Waitid,
	"setpgid": Setpgid, "setsid": Setsid, "getpgid": Getpgid, "getpgrp": Getpgrp, "getsid": Getsid,
	"getpid": Getpid, "getppid": Getppid, "gettid": Gettid, "set_tid_address": SetTidAddress,
	"kill": Kill, "tkill": Tkill, "tgkill": Tgkill,
	"rt_sigqueueinfo": Sigqueue, "rt_tgsigqueueinfo": Tgsigqueue,
	"prctl": Prctl, "rt_sigaction": Sigaction, "sigaction": Sigaction, "signal": Sigaction,
	"unshare": Unshare, "setns": Setns,
	"pidfd_open": PidfdOpen, "pidfd_send_signal": PidfdSend, "close": Close, "ioctl": Ioctl,
	"restart_syscall": Restart,
	"setuid":          Credentials, "setreuid": Credentials, "setresuid": Credentials, "setfsuid": Credentials,
	"setuid32": Credentials, "setreuid32": Credentials, "setresuid32": Credentials, "capset": Credentials,
	"setgid": Credentials, "setregid": Credentials, "setresgid": Credentials,
}

var opNames = func() (names [Credentials + 1]string) {
	for name, op := range ops {
		if old := names[op]; old == "" || len(name) < len(old) || len(name) == len(old) && name < old {
			names[op] = name
		}
	}
	names[Other], names[Wait4], names[Sigaction] = "other", "wait4", "rt_sigaction"
	names[Sigqueue], names[Credentials] = "rt_sigqueueinfo", "setuid"
	return names
}()

// String returns the call's usual name.
func (op Op) String() string { return opNames[min(op, Credentials)] }
