package meet

import "context"

// Answers is call.Endpoint's. While there is no call there is nothing to ask.
func (c *current) Answers(ctx context.Context) bool {
	if e := c.get(); e != nil {
		return e.Answers(ctx)
	}
	return true
}
