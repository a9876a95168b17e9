package spin_test

import (
	"fmt"

	"axprocess"
	"axprocess/spin"
)

func ExampleLock() {
	masked := 0
	lock := &spin.Lock{
		Mask:    func() uintptr { masked++; return 7 }, // turn interrupts off
		Restore: func(before uintptr) { fmt.Println("restored", before) },
	}
	lock.Lock()
	fmt.Println(lock.TryLock(), masked)
	lock.Unlock()
	table := axprocess.NewTable(axprocess.WithLock(new(spin.Lock)))
	fmt.Println(table.Len())
	// Output:
	// restored 7
	// false 2
	// restored 7
	// 0
}
