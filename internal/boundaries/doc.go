// Package boundaries holds no code of the product. Its tests keep the rules of
// DESIGN.md about who may import whom, and check the container files.
package boundaries
