// Package original is a literal Go translation of the design of the Rust crate
// axprocess, to be measured beside ours: a mutex and maps an object, strong
// references up, weak ones down, numbers given by the caller. It has the crate's
// faults too (docs/architecture.md), and is for benchmarks only.
package original

import (
	"sync"
	"sync/atomic"
	"weak"
)

// WeakMap is the crate's: dead entries go in a scan of all, each thousand
// operations.
type WeakMap[V any] struct {
	inner map[int]weak.Pointer[V]
	ops   int
}

const opsBetweenScans = 1000

func (m *WeakMap[V]) tick() {
	if m.ops++; m.ops < opsBetweenScans {
		return
	}
	m.ops = 0
	for k, w := range m.inner {
		if w.Value() == nil {
			delete(m.inner, k)
		}
	}
}

func (m *WeakMap[V]) insert(k int, v *V) {
	m.tick()
	if m.inner == nil {
		m.inner = map[int]weak.Pointer[V]{}
	}
	m.inner[k] = weak.Make(v)
}

func (m *WeakMap[V]) remove(k int) {
	m.tick()
	delete(m.inner, k)
}

func (m *WeakMap[V]) values() []*V {
	all := make([]*V, 0, len(m.inner))
	for _, w := range m.inner {
		if v := w.Value(); v != nil {
			all = append(all, v)
		}
	}
	return all
}

// Session holds its groups weakly.
type Session struct {
	sid    int
	mu     sync.Mutex
	groups WeakMap[ProcessGroup]
}

// ProcessGroup holds its session strongly, its processes weakly.
type ProcessGroup struct {
	pgid      int
	session   *Session
	mu        sync.Mutex
	processes WeakMap[Process]
}

type threadGroup struct {
	threads WeakMap[Thread]
	code    int
	exited  bool
}

// Process holds its children and its group strongly, its parent and threads
// weakly.
type Process struct {
	pid    int
	zombie atomic.Bool
	Data   any

	tgMu sync.Mutex
	tg   threadGroup

	childrenMu sync.Mutex
	children   map[int]*Process

	parentMu sync.Mutex
	parent   weak.Pointer[Process]

	groupMu sync.Mutex
	group   *ProcessGroup

	init *Process
}

// Thread holds its process strongly.
type Thread struct {
	tid     int
	process *Process
	Data    any
}

func newGroup(pgid int, s *Session) *ProcessGroup {
	g := &ProcessGroup{pgid: pgid, session: s}
	s.mu.Lock()
	s.groups.insert(pgid, g)
	s.mu.Unlock()
	return g
}

// NewInit returns an init, in a session and a group of its own.
func NewInit(pid int) *Process {
	p := &Process{pid: pid, children: map[int]*Process{}}
	p.init = p
	p.group = newGroup(pid, &Session{sid: pid})
	p.group.processes.insert(pid, p)
	return p
}

// Fork returns a child of p.
func (p *Process) Fork(pid int) *Process {
	child := &Process{pid: pid, parent: weak.Make(p), init: p.init}
	g := p.Group()
	child.group = g
	g.mu.Lock()
	g.processes.insert(pid, child)
	g.mu.Unlock()
	p.childrenMu.Lock()
	if p.children == nil {
		p.children = map[int]*Process{}
	}
	p.children[pid] = child
	p.childrenMu.Unlock()
	return child
}

// Group returns p's group.
func (p *Process) Group() *ProcessGroup {
	p.groupMu.Lock()
	defer p.groupMu.Unlock()
	return p.group
}

// Parent returns p's parent.
func (p *Process) Parent() *Process {
	p.parentMu.Lock()
	defer p.parentMu.Unlock()
	return p.parent.Value()
}

// Children returns p's children.
func (p *Process) Children() []*Process {
	p.childrenMu.Lock()
	defer p.childrenMu.Unlock()
	all := make([]*Process, 0, len(p.children))
	for _, child := range p.children {
		all = append(all, child)
	}
	return all
}

// Processes returns g's processes.
func (g *ProcessGroup) Processes() []*Process {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.processes.values()
}

func (p *Process) setGroup(g *ProcessGroup) {
	p.groupMu.Lock()
	defer p.groupMu.Unlock()
	p.group.mu.Lock()
	p.group.processes.remove(p.pid)
	p.group.mu.Unlock()
	g.mu.Lock()
	g.processes.insert(p.pid, p)
	g.mu.Unlock()
	p.group = g
}

// CreateSession moves p to a new session and group.
func (p *Process) CreateSession() (*Session, *ProcessGroup) {
	s := &Session{sid: p.pid}
	g := newGroup(p.pid, s)
	p.setGroup(g)
	return s, g
}

// CreateGroup moves p to a new group of its session.
func (p *Process) CreateGroup() *ProcessGroup {
	g := newGroup(p.pid, p.Group().session)
	p.setGroup(g)
	return g
}

// MoveToGroup moves p to g.
func (p *Process) MoveToGroup(g *ProcessGroup) { p.setGroup(g) }

// NewThread starts a thread.
func (p *Process) NewThread(tid int) *Thread {
	h := &Thread{tid: tid, process: p}
	p.tgMu.Lock()
	p.tg.threads.insert(tid, h)
	p.tgMu.Unlock()
	return h
}

// Exit ends a thread, and says whether it was the last: it looks at all.
func (h *Thread) Exit(code int) bool {
	tg := &h.process.tg
	h.process.tgMu.Lock()
	defer h.process.tgMu.Unlock()
	if !tg.exited {
		tg.code = code
	}
	tg.threads.remove(h.tid)
	for _, w := range tg.threads.inner {
		if w.Value() != nil {
			return false
		}
	}
	return true
}

// Exit makes p a zombie and gives its children to the init.
func (p *Process) Exit() {
	p.childrenMu.Lock()
	defer p.childrenMu.Unlock()
	p.zombie.Store(true)
	if len(p.children) == 0 {
		return
	}
	reaper := weak.Make(p.init)
	p.init.childrenMu.Lock()
	defer p.init.childrenMu.Unlock()
	for pid, child := range p.children {
		child.parentMu.Lock()
		child.parent = reaper
		child.parentMu.Unlock()
		p.init.children[pid] = child
	}
	clear(p.children)
}

// Free takes p from its parent.
func (p *Process) Free() {
	if parent := p.Parent(); parent != nil {
		parent.childrenMu.Lock()
		delete(parent.children, p.pid)
		parent.childrenMu.Unlock()
	}
}
