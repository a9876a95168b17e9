package host

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"

	"axprocess"
)

// This file is about one process in /proc.

// source is where processes are read from: a /proc, or a test's.
type source interface {
	// pids returns the numbers of those there are.
	pids() ([]axprocess.PID, error)
	// process reads one: errEnded if there is none by that number any more.
	process(axprocess.PID) (found, error)
}

// found is a process as it was read.
type found struct {
	record axprocess.ProcessRecord
	info   *Info
	lacks  string // what of it could not be read, or ""
}

// lack adds to what could not be read of f.
func (f *found) lack(what string) {
	if f.lacks != "" {
		f.lacks += "; "
	}
	f.lacks += what
}

// Ended is the reason of an omission that is no fault: the process was there and
// is no longer.
const Ended = "it ended while the host was read"

var errEnded = errors.New(Ended)

// proc is a /proc, live or saved.
type proc struct {
	fs     procfs.FS
	root   string
	opts   Options
	untold map[axprocess.PID]Untold
	listed map[axprocess.PID]procfs.Proc // what pids found
}

func openProc(opts Options) (*proc, error) {
	fs, err := procfs.NewFS(opts.Root)
	if err != nil {
		return nil, err
	}
	return &proc{fs: fs, root: opts.Root, opts: opts}, nil
}

// readUntold reads what /proc doesn't tell, if it is asked for. It comes first:
// who is started later isn't in it.
func (s *proc) readUntold() error {
	if !s.opts.Untold || s.root != Root {
		return fmt.Errorf("%w: it was not asked for, or this is a saved /proc", ErrUntold)
	}
	all, err := ReadUntold()
	s.untold = make(map[axprocess.PID]Untold, len(all))
	for _, u := range all {
		s.untold[u.PID] = u
	}
	return err
}

func (s *proc) pids() ([]axprocess.PID, error) {
	all, err := s.fs.AllProcs()
	if err != nil {
		return nil, err
	}
	pids := make([]axprocess.PID, 0, len(all))
	s.listed = make(map[axprocess.PID]procfs.Proc, len(all))
	for _, p := range all {
		if p.PID > 0 && p.PID < maxPID {
			pids = append(pids, axprocess.PID(p.PID))
			s.listed[axprocess.PID(p.PID)] = p
		}
	}
	return pids, nil
}

// gone tells an end from other failures. A file of a process that has ended
// can't be opened (ENOENT), or read if it was open (ESRCH).
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return errEnded
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		return fmt.Errorf("its %s can't be read: %w", filepath.Base(at.Path), at.Err) // the same for all whom it happens to
	}
	return err
}

// process reads the stat line first and again last: what is between is of the
// same process only if both say that it started at the same time.
func (s *proc) process(pid axprocess.PID) (found, error) {
	files, err := s.files(pid)
	if err != nil {
		return found{}, gone(err)
	}
	stat, err := files.Stat()
	if err != nil {
		return found{}, gone(err)
	}
	if stat.NumThreads == 0 || stat.PGRP < 0 || stateOf(stat.State) == Dead {
		return found{}, errEnded // it is being freed: its line says nothing more
	}
	f := fromStat(pid, &stat)
	if err := s.addThreads(&f, &stat); err != nil {
		return found{}, err
	}
	if err := s.addArgs(&f, files); err != nil {
		return found{}, err
	}
	if s.opts.Users {
		if err := addUsers(&f, files); err != nil {
			return found{}, err
		}
	}
	var buf [statSize]byte
	line, err := readSmall(s.dir(pid)+"/stat", buf[:])
	if err != nil {
		return found{}, gone(err)
	}
	more, ok := parseRest(line)
	switch {
	case !ok:
		return found{}, fmt.Errorf("its stat line makes no sense: %.60q", line)
	case more.started != f.info.Started:
		return found{}, errEnded
	}
	f.addRest(more)
	if u, is := s.untold[pid]; is && time.Duration(u.Start)*tick == more.started && !f.record.Zombie {
		f.record.Subreaper, f.record.IgnoresSIGCHLD, f.record.NoChildWait = u.Subreaper, u.IgnoresSIGCHLD, u.NoChildWait
	}
	return f, nil
}

// files returns the files of a process: one that wasn't listed is looked for.
func (s *proc) files(pid axprocess.PID) (procfs.Proc, error) {
	if files, is := s.listed[pid]; is {
		return files, nil
	}
	return s.fs.Proc(int(pid))
}

// statSize is more than a stat line takes: 52 numbers of at most 20 digits, and
// a name.
const statSize = 2048

// readSmall reads the beginning of a file with as few system calls as can be:
// os.ReadFile takes twice as many, which is most of what a process costs.
func readSmall(name string, buf []byte) ([]byte, error) {
	fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer func() { _ = syscall.Close(fd) }()
	n, err := syscall.Read(fd, buf)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return buf[:n], nil
}

// Flags of a stat line (kernel include/linux/sched.h).
const (
	pfForkNoExec = 0x40
	pfKthread    = 0x200000
)

func fromStat(pid axprocess.PID, stat *procfs.ProcStat) found {
	info := &Info{
		Comm:       stat.Comm,
		State:      stateOf(stat.State),
		Started:    time.Duration(stat.Starttime) * tick,
		TTY:        TTY(stat.TTY),
		Foreground: axprocess.PID(stat.TPGID),
		Kernel:     stat.Flags&pfKthread != 0,
		UID:        -1,
	}
	return found{info: info, record: axprocess.ProcessRecord{
		PID:    pid,
		PPID:   axprocess.PID(stat.PPID),
		PGID:   axprocess.PID(stat.PGRP),
		SID:    axprocess.PID(stat.Session),
		Data:   info,
		Forked: stat.Flags&pfForkNoExec != 0,
	}}
}

// addThreads finds the live threads. A process that has one thread is not asked
// for it.
func (s *proc) addThreads(f *found, stat *procfs.ProcStat) error {
	leader := axprocess.ThreadRecord{TID: f.record.PID, Data: &ThreadInfo{Comm: stat.Comm, State: f.info.State, Started: f.info.Started}}
	switch {
	case stat.NumThreads > 1:
		all, err := s.fs.AllThreads(int(f.record.PID))
		if err != nil && gone(err) != errEnded {
			return gone(err)
		}
		if err != nil {
			f.lack("its threads are not in sight") // a saved /proc without them; else the last look notices
		}
		for _, files := range all {
			if axprocess.PID(files.PID) == f.record.PID {
				if f.info.State != Zombie {
					f.record.Threads = append(f.record.Threads, leader)
				}
				continue
			}
			if h, lives := s.thread(files); lives {
				f.record.Threads = append(f.record.Threads, h)
			}
		}
		slices.SortFunc(f.record.Threads, older)
		f.record.LeaderExited = f.info.State == Zombie && len(f.record.Threads) > 0
		if f.lacks != "" && f.info.State != Zombie {
			f.record.Threads = append(f.record.Threads, leader)
		}
	case f.info.State != Zombie:
		f.record.Threads = []axprocess.ThreadRecord{leader}
	}
	f.info.Threads = len(f.record.Threads)
	switch {
	case f.record.LeaderExited || f.lacks != "" && f.info.State == Zombie:
		f.info.State = LeaderExited
	case f.info.State == Zombie:
		f.record.Zombie = true
	case f.info.State == Stopped:
		f.record.Stopped = axprocess.SIGSTOP // which signal it was the kernel does not say
	}
	return nil
}

// thread reads a thread that isn't a leader; it may have ended.
func (s *proc) thread(files procfs.Proc) (axprocess.ThreadRecord, bool) {
	h := axprocess.ThreadRecord{TID: axprocess.PID(files.PID)}
	if !s.opts.Threads {
		h.Data = &ThreadInfo{}
		return h, true
	}
	stat, err := files.Stat()
	if err != nil {
		return h, false
	}
	info := &ThreadInfo{Comm: stat.Comm, State: stateOf(stat.State), Started: time.Duration(stat.Starttime) * tick}
	h.Data = info
	return h, info.State != Zombie && info.State != Dead
}

func older(a, b axprocess.ThreadRecord) int {
	return cmp.Or(cmp.Compare(a.Data.(*ThreadInfo).Started, b.Data.(*ThreadInfo).Started), cmp.Compare(a.TID, b.TID))
}

// addArgs reads the arguments: of a live thread, since they go with the memory
// that an exited leader has given back.
func (s *proc) addArgs(f *found, files procfs.Proc) error {
	if f.info.Kernel || f.record.Zombie {
		return nil
	}
	dir := s.dir(f.record.PID)
	if f.record.LeaderExited {
		tid := int(f.record.Threads[0].TID)
		thread, err := files.Thread(tid)
		if err != nil {
			return nil // that thread has ended; the next look may find another
		}
		files, dir = thread, dir+"/task/"+strconv.Itoa(tid)
	}
	var buf [cmdlineSize]byte
	text, err := readSmall(dir+"/cmdline", buf[:])
	switch {
	case err == nil && len(text) < len(buf):
		f.info.Args = splitArgs(text)
		return nil
	case err == nil:
		f.info.Args, err = files.CmdLine() // a long one
	}
	if err != nil && gone(err) != errEnded {
		return gone(err)
	}
	return nil
}

// cmdlineSize is more than most command lines take.
const cmdlineSize = 1024

// splitArgs takes a command line apart: each argument ends with a 0.
func splitArgs(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
}

func (s *proc) dir(pid axprocess.PID) string { return s.root + "/" + strconv.Itoa(int(pid)) }

func addUsers(f *found, files procfs.Proc) error {
	status, err := files.NewStatus()
	switch {
	case err != nil && gone(err) == errEnded:
		f.lack("its user is not in sight") // as with threads
	case err != nil:
		return gone(err)
	default:
		f.info.UID, f.info.Numbers = int(status.UIDs[1]), status.NSpids
	}
	return nil
}

// addRest enters what procfs does not tell.
func (f *found) addRest(more rest) {
	r := &f.record
	r.IgnoresSIGCHLD = more.ignored>>(axprocess.SIGCHLD-1)&1 != 0
	if !r.Zombie {
		return
	}
	switch sig := more.status & 0x7f; {
	case sig == 0:
		r.Cause, r.Code = axprocess.Exited, int32(more.status>>8&0xff)
	case more.status&0x80 != 0:
		r.Cause, r.Code = axprocess.Dumped, int32(sig)
	default:
		r.Cause, r.Code = axprocess.Killed, int32(sig)
	}
	f.info.Cause, f.info.Code = r.Cause, r.Code
}
