package weakmap_test

import (
	"fmt"
	"runtime"

	"axprocess/weakmap"
)

func ExampleMap() {
	var m weakmap.Map[int, string]
	held := new(string)
	*held = "held"
	m.Insert(1, held)
	runtime.GC()
	fmt.Println(*m.Upgrade(1), m.Upgrade(2) == nil)
	fmt.Println(m.Remove(1) == held, m.Len())
	runtime.KeepAlive(held)
	// Output:
	// held true
	// true 0
}
