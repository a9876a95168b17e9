package axprocess

// This file is about sparse arrays in pages, for numbers: which are in use, and what
// they mean in a namespace.
//
// Invariant: at most one page that holds nothing is kept. It stays where it is until
// a page is needed elsewhere: numbers advance, and what is alone on a page that comes
// and goes would take the page out and put it back each time.

// pages is a sparse array of P, which are each zero when they hold nothing.
type pages[P any] struct {
	all  []*P // nil: nothing there
	idle int  // 1 + where the page is that holds nothing, 0: there is none
}

// at returns the i-th page, or nil.
func (d *pages[P]) at(i int) *P {
	if i >= len(d.all) {
		return nil
	}
	return d.all[i]
}

// need returns the i-th page, which the caller is about to put something into.
func (d *pages[P]) need(i int) *P {
	p := d.at(i)
	if p == nil {
		return d.add(i)
	}
	if d.idle == i+1 {
		d.idle = 0
	}
	return p
}

func (d *pages[P]) add(i int) *P {
	for i >= len(d.all) {
		d.all = append(d.all, nil)
	}
	if d.idle == 0 {
		d.all[i] = new(P)
	} else {
		d.all[i], d.all[d.idle-1], d.idle = d.all[d.idle-1], nil, 0
	}
	return d.all[i]
}

// emptied notes that the i-th page holds nothing any more.
func (d *pages[P]) emptied(i int) {
	if d.idle != 0 {
		d.all[d.idle-1] = nil
	}
	d.idle = i + 1
}
