// Package supervise runs a command and keeps hold of all that descends from it,
// however it detaches: by descent, not by process group or session.
//
//	cmd := supervise.Command("make", "-j2")
//	cmd.Stdout = os.Stdout
//	if err := cmd.Start(); err != nil { … }
//	report, err := cmd.Wait() // what was left behind has been ended by then
//
// It looks like os/exec and is safe beside it: it waits for its own children by
// their numbers, so no other child's exit status is taken. It makes the calling
// process a child subreaper, for good.
//
// The descendants are also a table of the model (Cmd.Table), in step with the
// kernel; its init is the calling process.
package supervise

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"axprocess"
)

// This file is about Cmd: what a caller asks for, and the run's course.
//
// Invariants:
//   - Start either starts the command and follows it, or leaves nothing behind;
//   - the report is made when the policy for what was left has been carried out.

// Leaks says what happens to what is alive when the command has ended.
type Leaks uint8

// The policies.
const (
	End   Leaks = iota // SIGTERM, then SIGKILL after Grace, until nothing is left
	Leave              // only say what there is
	Await              // stay until it has ended by itself
)

// Cmd is a command to run, once. Its fields are not to be changed after Start.
type Cmd struct {
	Path string   // what to execute
	Args []string // with the name as the first
	Env  []string // nil: this process's own
	Dir  string   // "": this process's own

	// As in os/exec: an *os.File is passed on as it is, nil is /dev/null, for
	// others there is a pipe and a goroutine that copies. Unlike there, Wait gets what
	// is in the pipe at the end, whoever still holds it.
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	Follow Follow
	Leaks  Leaks
	Grace  time.Duration    // between SIGTERM and SIGKILL
	Keep   []*regexp.Regexp // what matches, by name or arguments, may stay, and its descendants

	NoArgs   bool // keep only the first argument of each process
	DieAlong bool // the command is killed when this process ends; with ptrace its descendants too
	Alone    bool // this process has no other children: all that turn up are the command's

	TableOptions []axprocess.Option         // for the table, WithMaxPID excepted
	Clock        func() time.Time           // nil: time.Now
	Warn         func(string)               // told once each of what won't work as one may expect; not concurrently
	OnStop       func(sig axprocess.Signal) // the command was stopped, or continues: 0
	OnWait       func(held []Process)       // told now and then of whom Wait waits for after the command's end

	err    error
	keeper *keeper
	follow follower
	pid    int
	began  time.Time
	copies []*copying
	once   struct{ hurry, end sync.Once }
	hurry  chan struct{}
	end    chan struct{}
	warned map[string]bool
	warnMu sync.Mutex
}

// Command returns a Cmd for a program that is looked up as exec.Command does it.
func Command(name string, args ...string) *Cmd {
	c := &Cmd{Path: name, Args: append([]string{name}, args...), Grace: 5 * time.Second,
		hurry: make(chan struct{}), end: make(chan struct{}), warned: map[string]bool{}}
	c.Path, c.err = exec.LookPath(name)
	if c.Path == "" {
		c.Path = name
	}
	return c
}

// Table returns the table that the descendants are entered into, made by the
// first call or by Start. A caller may observe it, and must not change it.
func (c *Cmd) Table() *axprocess.Table {
	if c.keeper == nil {
		clock := c.Clock
		if clock == nil {
			clock = time.Now
		}
		c.keeper, c.err = newKeeper(axprocess.NewTable(c.TableOptions...), clock)
		if c.keeper == nil {
			return nil
		}
	}
	return c.keeper.table
}

// Start starts the command and returns when it is followed. The errors of a
// program that isn't found or can't be executed are os/exec's; of a way to follow
// that can't be gone here, with Auto of none, they say so.
func (c *Cmd) Start() error {
	if c.err != nil {
		return c.err
	}
	if c.pid != 0 {
		return errors.New("supervise: already started")
	}
	if c.Table() == nil {
		return c.err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	k := c.keeper
	k.noArgs, k.alone, k.warn, k.onStop = c.NoArgs, c.Alone || os.Getpid() == 1, c.warn, c.OnStop
	k.command = c.Args
	files, err := c.files()
	if err != nil {
		return err
	}
	defer files.close()
	l := &launch{path: c.Path, argv: c.Args, die: c.DieAlong}
	l.attr = syscall.ProcAttr{Dir: c.Dir, Env: c.Env, Files: files.fds(), Sys: &syscall.SysProcAttr{}}
	if c.Env == nil {
		l.attr.Env = os.Environ()
	}
	if c.DieAlong {
		l.attr.Sys.Pdeathsig = syscall.SIGKILL
	}
	if err := c.launch(l); err != nil {
		for _, copying := range c.copies {
			copying.abandon()
		}
		return err
	}
	for _, copying := range c.copies {
		go copying.run()
	}
	return nil
}

// launch tries one way to follow after the other.
func (c *Cmd) launch(l *launch) error {
	var err error
	for _, f := range followers(c.Follow) {
		err = f.start(c.keeper, l)
		var unfollowable *errUnfollowable
		if err == nil {
			c.follow = f
			r := c.keeper.root()
			c.keeper.mu.Lock()
			c.pid, c.began = int(r.PID), r.Start
			c.keeper.mu.Unlock()
			return nil
		}
		if !errors.As(err, &unfollowable) {
			return &os.PathError{Op: "exec", Path: c.Path, Err: err}
		}
	}
	return err
}

// Following returns the way that Start chose.
func (c *Cmd) Following() Follow {
	switch c.follow.(type) {
	case *tracer:
		return Ptrace
	case *bpf:
		return EBPF
	case *looker:
		return Proc
	}
	return Auto // not started
}

// PID returns the command's number; 0 before Start.
func (c *Cmd) PID() axprocess.PID { return axprocess.PID(c.pid) }

// Ended returns when the command was seen to have ended, by Clock; zero while it
// lives. Not before Start.
func (c *Cmd) Ended() time.Time {
	r := c.keeper.root()
	c.keeper.mu.Lock()
	defer c.keeper.mu.Unlock()
	return r.End
}

// Descendants returns what is alive now, the command included, oldest first.
// What the follower can't see at once is looked for.
func (c *Cmd) Descendants() []Process {
	c.keeper.sweep(c.follow, c.keeper.look(), false)
	return c.keeper.copies(func(r *record) bool { return !r.isDead() })
}

// Signal sends sig to the command. ESRCH once it has ended.
func (c *Cmd) Signal(sig syscall.Signal) error {
	return c.keeper.send(c.keeper.root(), sig)
}

// SignalBelow sends sig to each descendant but the command, one by one.
func (c *Cmd) SignalBelow(sig syscall.Signal) {
	c.keeper.sweep(c.follow, c.keeper.look(), false)
	for _, r := range c.keeper.living() {
		if r.ID == 1 {
			continue
		}
		_ = c.keeper.send(r, sig) // it may have ended, or be somebody else's: the report says what stayed
	}
}

// Hurry ends the grace: what is left is killed at once.
func (c *Cmd) Hurry() { c.once.hurry.Do(func() { close(c.hurry) }) }

// Stop ends the command and all its descendants as End does with what is left,
// whatever Leaks says. It returns at once; Wait returns when it is done.
func (c *Cmd) Stop() { c.once.end.Do(func() { close(c.end) }) }

func (c *Cmd) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.warnMu.Lock()
	defer c.warnMu.Unlock()
	if c.Warn == nil || c.warned[text] {
		return
	}
	c.warned[text] = true
	c.Warn(text)
}

// Wait waits for the command's end, carries out the policy for what it left, and
// reports. The error is about the run itself, not the command's exit code: a
// table that fell out of step, or a copy to or from it that failed.
func (c *Cmd) Wait() (*Report, error) {
	if c.follow == nil {
		return nil, errors.New("supervise: not started")
	}
	k := c.keeper
	first := k.root()
	ended := k.await(func() bool { k.mu.Lock(); defer k.mu.Unlock(); return first.isDead() }, c.end, nil)
	e := &ending{Cmd: c}
	k.sweep(c.follow, k.look(), false)
	if ended {
		e.leftBehind(first)
	}
	switch {
	case !ended, c.Leaks == End:
		e.endAll()
	case c.Leaks == Await:
		if !e.await() {
			e.endAll()
		}
	}
	err := c.finishCopies()
	k.sweep(c.follow, k.look(), true)
	k.await(func() bool { return k.settle() == 0 }, nil, time.After(settleLimit))
	c.follow.stop()
	if verr := k.verify(); verr != nil {
		err = errors.Join(err, verr)
	}
	return c.report(!ended), err
}

// settleLimit is how long Wait waits for what has ended to become a zombie: a
// debugger may hold it.
const settleLimit = 2 * time.Second
