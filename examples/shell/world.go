package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"axprocess"
)

// This file is the embedding: how goroutines become processes of the model.
//
// The model decides, the world carries out. It never keeps a second opinion: a
// task asks the model whether it is stopped or has ended, each time before it does
// anything that others can see. The table's notices only say when to ask again.
//
// Invariants:
//   - each process of the table but the init has one task;
//   - a task whose process has ended does nothing that others can see: its files
//     are closed, and every call that it makes returns errKilled;
//   - what a task waits for, it waits for together with its wake channel.

// world is a table with what runs under it.
type world struct {
	table  *axprocess.Table
	tty    *tty
	ctx    context.Context // ends with the world
	cancel context.CancelFunc
	done   sync.WaitGroup // tasks, and the reader of notices

	mu    sync.Mutex
	tasks map[uint64]*task // by unique id: a number may be somebody else's tomorrow
}

func newWorld(out io.Writer) *world {
	w := &world{table: axprocess.NewTable(axprocess.WithNotices()), tasks: map[uint64]*task{}}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.tty = newTTY(w.table, out)
	init := must(w.table.NewInit(1).Build())
	// Nobody waits in this init, so what ends up there ends by itself.
	check(init.SetDisposition(axprocess.SIGCHLD, axprocess.Ignore, 0))
	w.done.Go(w.readNotices)
	return w
}

// close ends all that still runs.
func (w *world) close() {
	for _, p := range w.table.Processes() {
		if !p.IsInit() && !p.IsZombie() {
			_ = p.GroupKill(axprocess.SIGKILL, false) // it may have ended meanwhile
			w.ended(p)
		}
	}
	w.cancel()
	w.done.Wait()
}

// readNotices tells tasks that something was done to them.
func (w *world) readNotices() {
	for {
		effects, err := w.table.Notices(w.ctx)
		if err != nil {
			return
		}
		for _, e := range effects {
			if e.Action == axprocess.Ended {
				w.ended(e.Process)
			} else if t := w.task(e.Process); t != nil {
				t.poke()
			}
		}
	}
}

// ended: a process that a signal ended holds no file any more, whatever its
// goroutine is doing.
func (w *world) ended(p *axprocess.Process) {
	if t := w.task(p); t != nil {
		t.closeFiles()
		t.poke()
	}
}

func (w *world) task(p *axprocess.Process) *task {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tasks[p.ID()]
}

// start runs a command as a child of parent. prepare does what a child does
// between fork and exec; nobody else has seen the child act before.
func (w *world) start(parent *axprocess.Process, name string, files [2]file, prepare func(*axprocess.Process), main func(*task) int) (*axprocess.Process, error) {
	t := &task{world: w, name: name, files: files, wake: make(chan struct{})}
	w.mu.Lock() // until the task is known: a signal that comes first has to wait
	p, err := parent.Fork(axprocess.NextPID).Data(t).Build()
	if err != nil {
		w.mu.Unlock()
		return nil, err
	}
	t.process = p
	w.tasks[p.ID()] = t
	w.mu.Unlock()
	for _, f := range files {
		f.retain()
	}
	prepare(p)
	_ = p.Exec() // refused only if a signal has ended it already: run finds out
	w.done.Go(func() { t.run(main) })
	return p, nil
}

// task is a process as the world runs it.
type task struct {
	world   *world
	process *axprocess.Process
	name    string
	files   [2]file // standard input and output
	closing sync.Once
	handles bool // it has handlers, and takes the signals for them itself

	mu   sync.Mutex
	wake chan struct{} // closed, and made anew, when the model has news for it
}

// What a command's calls return when there is nothing more to do for it.
var (
	errKilled      = errors.New("the process has ended")
	errInterrupted = errors.New("a signal is to be handled")
	errBroken      = errors.New("nobody reads the pipe")
)

func (t *task) run(main func(*task) int) {
	defer t.forget()
	if t.mayRun() != nil {
		return
	}
	code := main(t)
	if t.mayRun() != nil { // a stopped process doesn't exit before it continues
		return
	}
	t.closeFiles()
	if t.process.GroupExit(int32(code)) == nil {
		_ = t.process.Exit() // a SIGKILL may be faster
	}
}

// forget: the goroutine is over, and the process has ended.
func (t *task) forget() {
	t.closeFiles()
	t.world.mu.Lock()
	defer t.world.mu.Unlock()
	delete(t.world.tasks, t.process.ID())
}

func (t *task) closeFiles() {
	t.closing.Do(func() {
		for _, f := range t.files {
			f.release()
		}
	})
}

// poke makes the task ask the model how it stands.
func (t *task) poke() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.wake)
	t.wake = make(chan struct{})
}

func (t *task) waker() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wake
}

// mayRun blocks while the process is stopped, and returns errKilled once it has
// ended.
func (t *task) mayRun() error {
	for {
		news := t.waker()
		switch {
		case t.process.State() > axprocess.Running:
			return errKilled
		case t.process.Stopped() == 0:
			return nil
		}
		select {
		case <-news:
		case <-t.world.ctx.Done():
			return errKilled
		}
	}
}

// attempt calls try until it succeeds or fails for good. Between two tries it
// waits for changed or for news from the model; a signal that is to be handled
// interrupts it.
func (t *task) attempt(try func() (done bool, changed <-chan struct{}, err error)) error {
	for {
		news := t.waker()
		if err := t.mayRun(); err != nil {
			return err
		}
		done, changed, err := try()
		if done || err != nil {
			return err
		}
		if t.handles && t.process.PendingSignals() != 0 {
			return errInterrupted
		}
		select {
		case <-changed:
		case <-news:
		case <-t.world.ctx.Done():
			return errKilled
		}
	}
}

// Read reads from standard input; 0 bytes at its end.
func (t *task) Read(buf []byte) (n int, err error) {
	err = t.attempt(func() (done bool, changed <-chan struct{}, err error) {
		n, done, changed, err = t.files[0].tryRead(t, buf)
		return done, changed, err
	})
	return n, err
}

// Write writes all of buf to standard output.
func (t *task) Write(buf []byte) (int, error) {
	written := 0
	err := t.attempt(func() (bool, <-chan struct{}, error) {
		n, changed, err := t.files[1].tryWrite(t, buf[written:])
		written += n
		return written == len(buf), changed, err
	})
	if errors.Is(err, errBroken) {
		_, _ = t.process.Kill(t.process.PID(), axprocess.SIGPIPE)
		if killed := t.mayRun(); killed != nil {
			err = killed
		}
	}
	return written, err
}

// Sleep returns after d, or when the process ends or is interrupted. The time goes
// on while it is stopped.
func (t *task) Sleep(d time.Duration) error {
	over := make(chan struct{})
	timer := time.AfterFunc(d, func() { close(over) })
	defer timer.Stop()
	return t.attempt(func() (bool, <-chan struct{}, error) {
		select {
		case <-over:
			return true, nil, nil
		default:
			return false, over, nil
		}
	})
}

// must and check are for what the model can't refuse here.
func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
