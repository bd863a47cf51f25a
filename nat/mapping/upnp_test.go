package mapping

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// igd is a UPnP gateway on this machine.
type igd struct {
	control   string // URL of the service
	addr      string
	permanent bool   // it grants only leases that do not end
	taken     string // external ports that are another machine's, as a pattern

	mapped map[string]string // external port: internal client, port, lease
}

const description = `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>
<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><deviceList><device><deviceList><device>
<serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>
<serviceId>x</serviceId><SCPDURL>/scpd</SCPDURL><controlURL>%s</controlURL><eventSubURL>/events</eventSubURL></service></serviceList>
</device></deviceList></device></deviceList></device></root>`

func (g *igd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/description" {
		fmt.Fprintf(w, description, g.control)
		return
	}
	b, _ := io.ReadAll(r.Body)
	value := func(name string) string {
		m := regexp.MustCompile("<" + name + ">([^<]*)</").FindStringSubmatch(string(b))
		if m == nil {
			return ""
		}
		return m[1]
	}
	reply := func(inner string) {
		fmt.Fprintf(w, `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>%s</s:Body></s:Envelope>`, inner)
	}
	refuse := func(code string) {
		w.WriteHeader(http.StatusInternalServerError)
		reply(`<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>` + code + `</errorCode></UPnPError></detail></s:Fault>`)
	}
	action := strings.Trim(r.Header.Get("SOAPAction"), `"`)
	_, action, _ = strings.Cut(action, "#")
	answer := func(inner string) {
		reply(`<u:` + action + `Response xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:1">` + inner + `</u:` + action + `Response>`)
	}
	port := value("NewExternalPort")
	switch action {
	case "GetExternalIPAddress":
		answer("<NewExternalIPAddress>" + g.addr + "</NewExternalIPAddress>")
	case "AddPortMapping":
		switch {
		case g.permanent && value("NewLeaseDuration") != "0":
			refuse(permanentOnly)
		case g.taken != "" && regexp.MustCompile(g.taken).MatchString(port):
			refuse(conflict)
		default:
			g.mapped[port] = value("NewInternalClient") + ":" + value("NewInternalPort") + " for " + value("NewLeaseDuration")
			answer("")
		}
	case "DeletePortMapping":
		delete(g.mapped, port)
		answer("")
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// gatewayOf starts g and makes what asks it.
func gatewayOf(t *testing.T, g *igd) (*upnp, *url.URL) {
	t.Helper()
	g.mapped = make(map[string]string)
	if g.control == "" {
		g.control = "/control"
	}
	if g.addr == "" {
		g.addr = external.Addr().String()
	}
	s := httptest.NewServer(g)
	t.Cleanup(s.Close)
	at, err := url.Parse(s.URL + "/description")
	if err != nil {
		t.Fatal(err)
	}
	return &upnp{
		server:   netip.MustParseAddr("127.0.0.1"),
		local:    netip.MustParseAddrPort("0.0.0.0:5004"),
		internal: client,
	}, at
}

func TestUPnP(t *testing.T) {
	for _, c := range []struct {
		name   string
		igd    igd
		port   uint16
		mapped string
	}{
		{"an ordinary one", igd{}, 5004, "10.1.0.2:5004 for 1200"},
		{"leases that do not end", igd{permanent: true}, 5004, "10.1.0.2:5004 for 0"},
		{"another machine has the port", igd{taken: "^5004$"}, 0, "10.1.0.2:5004 for 1200"},
	} {
		u, at := gatewayOf(t, &c.igd)
		service, err := u.describe(t.Context(), at)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		u.service = service
		for range 2 { // and renewed
			got, err := u.ask(t.Context(), lifetime)
			if err != nil || got.external.Addr() != external.Addr() || c.port != 0 && got.external.Port() != c.port {
				t.Errorf("%s: %v, %v", c.name, got, err)
			}
			if m := c.igd.mapped[fmt.Sprint(got.external.Port())]; m != c.mapped || len(c.igd.mapped) != 1 {
				t.Errorf("%s: mapped %v", c.name, c.igd.mapped)
			}
		}
		if _, err := u.ask(t.Context(), 0); err != nil || len(c.igd.mapped) != 0 {
			t.Errorf("%s: given back: %v, %v", c.name, c.igd.mapped, err)
		}
	}
}

func TestHostileUPnP(t *testing.T) {
	u, at := gatewayOf(t, &igd{control: "http://192.0.2.66/control"})
	if _, err := u.describe(t.Context(), at); !errors.Is(err, errElsewhere) {
		t.Errorf("a service elsewhere: %v", err)
	}
	u, at = gatewayOf(t, &igd{addr: "no address"})
	var err error
	if u.service, err = u.describe(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	if _, err := u.ask(t.Context(), lifetime); err == nil {
		t.Error("no address was taken")
	}
	u, at = gatewayOf(t, &igd{taken: "."})
	if u.service, err = u.describe(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	if _, err := u.ask(t.Context(), lifetime); errorCode(err) != conflict {
		t.Errorf("every port is taken: %v", err)
	}

	// A description without end, one that leads elsewhere, one that is none.
	sent := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/endless":
			fmt.Fprint(w, "<root>")
			for {
				n, err := fmt.Fprint(w, strings.Repeat("<a></a>", 1000))
				if sent += n; err != nil {
					return
				}
			}
		case "/elsewhere":
			http.Redirect(w, r, "http://192.0.2.66/", http.StatusFound)
		default:
			fmt.Fprint(w, "<root/>")
		}
	}))
	defer s.Close()
	for _, path := range []string{"/endless", "/elsewhere", "/empty"} {
		at, err := url.Parse(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := u.describe(t.Context(), at); err == nil || path == "/elsewhere" && !errors.Is(err, errElsewhere) {
			t.Errorf("%s: %v", path, err)
		}
		if took := time.Since(start); took > 2*fetchTime {
			t.Errorf("%s: took %v", path, took)
		}
	}
}

func TestLocation(t *testing.T) {
	u := &upnp{server: netip.MustParseAddr("10.1.0.1")}
	response := func(location string) []byte {
		return []byte("HTTP/1.1 200 OK\r\nST: x\r\nLocation: " + location + "\r\n\r\n")
	}
	if at := u.location(u.server, response("http://10.1.0.1:5000/d.xml")); at == nil || at.String() != "http://10.1.0.1:5000/d.xml" {
		t.Errorf("%v", at)
	}
	for name, b := range map[string][]byte{
		"elsewhere":        response("http://192.0.2.66/d.xml"),
		"another scheme":   response("file:///etc/passwd"),
		"by name":          response("http://router/d.xml"),
		"with a user":      response("http://10.1.0.1@192.0.2.66/d.xml"),
		"with credentials": response("http://a:b@10.1.0.1/d.xml"),
		"no location":      []byte("HTTP/1.1 200 OK\r\n\r\n"),
		"an error":         []byte("HTTP/1.1 404 Not Found\r\nLocation: http://10.1.0.1/\r\n\r\n"),
		"a request":        []byte("NOTIFY * HTTP/1.1\r\nLocation: http://10.1.0.1/\r\n\r\n"),
		"nothing":          nil,
	} {
		if at := u.location(u.server, b); at != nil {
			t.Errorf("%s: %v", name, at)
		}
	}
	if at := u.location(netip.MustParseAddr("10.1.0.66"), response("http://10.1.0.1/")); at != nil {
		t.Errorf("a stranger's: %v", at)
	}
}

func FuzzLocation(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nLocation: http://10.1.0.1:5000/d.xml\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		u := &upnp{server: netip.MustParseAddr("10.1.0.1")}
		if at := u.location(u.server, b); at != nil && at.Hostname() != "10.1.0.1" {
			t.Errorf("%v", at)
		}
	})
}
