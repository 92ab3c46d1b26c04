package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
)

// chooser is the variable by which a woven package knows which mutant it is, and where it takes it from.
const chooser = "activeMutant"

// chooserFile is the text of a further file of the package: it declares the chooser.
func chooserFile(packageName string) []byte {
	return fmt.Appendf(nil, "package %s\n\nimport (\n\t\"os\"\n\t\"strconv\"\n)\n\nvar %s, _ = strconv.Atoi(os.Getenv(%q))\n",
		packageName, chooser, chooser)
}

// weave puts every mutant into one text, so that the package is built once for all of them: a function begins with its
// mutants, of which the chosen one is run in its stead. A mutant's number is its place in the list plus one; those left
// out, and those outside of functions, are not in the text. A mutant that does not compile fails at its own line.
func weave(source []byte, mutants []mutant, leftOut map[int]bool) []byte {
	var woven bytes.Buffer
	done := 0
	for i, m := range mutants {
		number := i + 1
		if m.within == nil || leftOut[number] {
			continue
		}
		woven.Write(source[done:m.within.from])
		done = m.within.from
		changed := m.apply(source)
		inner := changed[m.within.from : m.within.to+len(changed)-len(source)]
		call, after := "return func() "+m.within.results, ""
		if m.within.results == "" {
			call, after = "func()", "; return"
		}
		fmt.Fprintf(&woven, "\nif %s == %d {\n//line mutant%d:1\n%s {%s\n}()%s\n}\n//line woven:1\n", chooser, number, number, call, inner, after)
	}
	woven.Write(source[done:])
	return woven.Bytes()
}

var failedAt = regexp.MustCompile(`(?m)mutant(\d+):\d+`)

// failures are the numbers of the mutants that a compiler's output complains of.
func failures(output string) (numbers []int) {
	for _, match := range failedAt.FindAllStringSubmatch(output, -1) {
		if n, err := strconv.Atoi(match[1]); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}
