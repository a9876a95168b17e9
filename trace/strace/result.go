package strace

import (
	"bytes"
	"syscall"
)

// This file is about results: what stands after a call's "= ".

// Result is what a call returned.
type Result struct {
	Value    int64         // if Known
	Known    bool          // false: "?", the call never returned
	Errno    syscall.Errno // if Value is -1, or 0
	Restart  bool          // interrupted by a signal: ERESTARTSYS and the like
	Outer    int32         // the same number in strace's pid namespace, if it says so
	Injected bool          // strace made it up, or changed it (-e inject)
	Raw      string        // an errno that has no name here
}

// result reads it, with what -T and -e inject append.
func (l *Line) result(b []byte) bool {
	b = l.spent(bytes.TrimRight(b, " "))
	r := &l.Result
	for {
		head, ok := bytes.CutSuffix(b, []byte(")"))
		if !ok {
			break
		}
		at := bytes.LastIndex(head, []byte(" ("))
		if at < 0 {
			break
		}
		if note := head[at+2:]; bytes.HasPrefix(note, []byte("INJECTED")) {
			r.Injected = true
		} else if !bytes.HasPrefix(note, []byte("DELAYED")) {
			break
		}
		b = b[:at]
	}
	if rest, ok := bytes.CutPrefix(b, []byte("?")); ok {
		if rest = bytes.TrimLeft(rest, " "); len(rest) == 0 || rest[0] == '<' {
			return true
		}
		return r.errno(rest)
	}
	negative := false
	if len(b) > 0 && b[0] == '-' {
		negative, b = true, b[1:]
	}
	n, rest, ok := number(b)
	if !ok {
		return false
	}
	if negative {
		n = -n
	}
	r.Value, r.Known = n, true
	if n == -1 {
		if rest = bytes.TrimLeft(rest, " "); len(rest) == 0 {
			return true
		}
		return r.errno(rest)
	}
	r.Outer, rest = outer(decoration(rest))
	return len(rest) == 0 || rest[0] == ' '
}

// errno reads ECHILD (No child processes).
func (r *Result) errno(b []byte) bool {
	name, _, _ := bytes.Cut(b, []byte(" "))
	if bytes.HasPrefix(name, []byte("ERESTART")) {
		r.Restart = true
		return true
	}
	if r.Errno = errnos[string(name)]; r.Errno == 0 {
		r.Raw = string(name)
		return len(name) > 1 && name[0] == 'E' && len(name) < 32
	}
	return true
}

// spent takes off <0.000343>.
func (l *Line) spent(b []byte) []byte {
	if len(b) < 4 || b[len(b)-1] != '>' {
		return b
	}
	at := bytes.LastIndex(b, []byte(" <"))
	if at < 0 {
		return b
	}
	t, kind, _ := readTime(append(bytes.Clone(b[at+2:len(b)-1]), ' '))
	if kind != Relative {
		return b
	}
	l.Spent = max(t, 0)
	return bytes.TrimRight(b[:at], " ")
}

var errnos = map[string]syscall.Errno{
	"EPERM": syscall.EPERM, "ENOENT": syscall.ENOENT, "ESRCH": syscall.ESRCH, "EINTR": syscall.EINTR,
	"EIO": syscall.EIO, "E2BIG": syscall.E2BIG, "ENOEXEC": syscall.ENOEXEC, "EBADF": syscall.EBADF,
	"ECHILD": syscall.ECHILD, "EAGAIN": syscall.EAGAIN, "ENOMEM": syscall.ENOMEM, "EACCES": syscall.EACCES,
	"EFAULT": syscall.EFAULT, "EBUSY": syscall.EBUSY, "EEXIST": syscall.EEXIST, "ENODEV": syscall.ENODEV,
	"ENOTDIR": syscall.ENOTDIR, "EISDIR": syscall.EISDIR, "EINVAL": syscall.EINVAL, "ENFILE": syscall.ENFILE,
	"EMFILE": syscall.EMFILE, "ENOTTY": syscall.ENOTTY, "ETXTBSY": syscall.ETXTBSY, "ENOSPC": syscall.ENOSPC,
	"ENOSYS": syscall.ENOSYS, "ELOOP": syscall.ELOOP, "ENAMETOOLONG": syscall.ENAMETOOLONG,
	"EUSERS": syscall.EUSERS, "EOPNOTSUPP": syscall.EOPNOTSUPP, "ENXIO": syscall.ENXIO,
}

var errnoNames = func() map[syscall.Errno]string {
	names := map[syscall.Errno]string{}
	for name, errno := range errnos {
		names[errno] = name
	}
	return names
}()

// ErrnoName returns an errno's name, or "" for one that no call here gives.
func ErrnoName(errno syscall.Errno) string { return errnoNames[errno] }
