package enforce

import (
	"testing"

	"github.com/metrum-ai/licensing-portal/license"
)

// The clock is the test's, so this is admission without time.Now, which costs some 70 ns more where it is slow.
func BenchmarkAdmit(b *testing.B) {
	r := newRouter(b, nil)
	r.install(r.issue("lic_1", nil))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := r.Admit(license.FeatureRouting); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
