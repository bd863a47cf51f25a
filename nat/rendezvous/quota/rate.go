package quota

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// longestPer is the longest time for which a rate can be said. With it and the bound on
// what comes at once no sum of a Bucket is more than a time.Duration holds, even where
// 64 KiB are taken one by one.
const longestPer = 24 * time.Hour

// ParseRate reads a Rate as people say it: "30 then 1 per 3s" is 30 at once, and then 1
// each 3 seconds. The numbers are above zero; the time is one of time.ParseDuration, up to
// 24 hours, and at least a nanosecond for each. It is false for anything else.
func ParseRate(s string) (Rate, bool) {
	f := strings.Fields(s)
	if len(f) != 5 || f[1] != "then" || f[3] != "per" {
		return Rate{}, false
	}
	burst, err1 := strconv.Atoi(f[0])
	then, err2 := strconv.Atoi(f[2])
	per, err3 := time.ParseDuration(f[4])
	if err1 != nil || err2 != nil || err3 != nil || burst < 1 || then < 1 || per > longestPer {
		return Rate{}, false
	}
	every := per / time.Duration(then)
	if every < 1 || int64(burst) > math.MaxInt64/2/int64(every) {
		return Rate{}, false
	}
	return Rate{Burst: burst, Every: every}, true
}
