/*
 * bzrtp-peer: a ZRTP endpoint of Belledonne's libbzrtp that speaks PCMU over
 * SRTP on one UDP port, for calls with securecall (scripts/interop.sh).
 *
 * A program of its own, and only a test: libbzrtp is under the GPL, and
 * securecall neither links nor ships it.
 *
 *   bzrtp-peer [-b ADDR:PORT] [-d ADDR:PORT] [-n SECONDS] [-C CACHE [-F] [-V]] [-x SECRET]
 *              [-h HASH] [-c CIPHER] [-a AUTH] [-k AGREEMENT] [-s SAS] SAY HEARD
 *
 * It waits for a peer at -b (127.0.0.1:0, a port that the system gives), or
 * dials -d. Algorithms are comma lists in ZRTP's names, most wanted first.
 * SAY, octets of u-law, is sent in packets of 160, and after it silence. The
 * payloads that come are written to HEARD in the order of their arrival. CACHE
 * is libbzrtp's, in SQLite; -F first forgets all secrets in it, but not who we
 * are; -V marks the SAS as verified. SECRET is an auxiliary one. Lines
 * on stdout:
 *
 *   port N
 *   secure sas=WORDS hash=NAME cipher=NAME auth=NAME ka=NAME sastype=NAME
 *   trust mismatch=0|1 verified=0|1 aux=match|mismatch|unset
 *   ended HOW heard=PACKETS refused=PACKETS
 *
 * HOW is bye (a dialler says it a while after the end of SAY, a listener waits
 * for it), quiet (the peer was secure and has gone without one) or timeout,
 * after SECONDS (25). Refused are packets that libsrtp could not authenticate.
 */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <bzrtp/bzrtp.h>
#include <poll.h>
#include <srtp2/srtp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	FRAME = 160,
	LEAD = 15,        /* packets of silence before SAY: a callee may open its sound only now */
	GRACE_MS = 700,   /* from the end of SAY to our BYE */
	BYES = 6,         /* so that one arrives, */
	BYE_GAP_MS = 50,  /* at these intervals */
	QUIET_MS = 2000,  /* without a good packet, and the peer has gone */
};

struct peer {
	int fd;
	struct sockaddr_in to; /* sin_port 0: not known yet */
	uint32_t ssrc;
	bzrtpContext_t *zrtp;
	srtp_t out, in; /* NULL: no keys */
	int secure, verifies;
	unsigned heard, refused;
	uint64_t heard_at; /* ms */
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void put16(uint8_t *b, uint16_t v) { b[0] = v >> 8, b[1] = v & 255; }
static void put32(uint8_t *b, uint32_t v) { put16(b, v >> 16), put16(b + 2, v & 0xffff); }

static void transmit(struct peer *p, const void *b, size_t n)
{
	/* A packet that the system refuses is lost like any other. */
	(void)!sendto(p->fd, b, n, 0, (struct sockaddr *)&p->to, sizeof p->to);
}

static int on_send(void *data, const uint8_t *packet, uint16_t length)
{
	transmit(data, packet, length);
	return 0;
}

/* make_srtp: a session of one direction with the profile that was agreed on. */
static srtp_t make_srtp(const bzrtpSrtpSecrets_t *s, int sending)
{
	static uint8_t key[32 + 14];
	const uint8_t *k = sending ? s->selfSrtpKey : s->peerSrtpKey;
	const uint8_t *salt = sending ? s->selfSrtpSalt : s->peerSrtpSalt;
	size_t n = sending ? s->selfSrtpKeyLength : s->peerSrtpKeyLength;
	srtp_policy_t policy;
	srtp_t session;

	memset(&policy, 0, sizeof policy);
	if (s->cipherAlgo == ZRTP_CIPHER_AES3) {
		srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy.rtcp);
		if (s->authTagAlgo == ZRTP_AUTHTAG_HS32)
			srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32(&policy.rtp);
		else
			srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy.rtp);
	} else {
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtcp);
		if (s->authTagAlgo == ZRTP_AUTHTAG_HS32)
			srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&policy.rtp);
		else
			srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtp);
	}
	memcpy(key, k, n);
	memcpy(key + n, salt, 14);
	policy.key = key;
	policy.ssrc.type = sending ? ssrc_any_outbound : ssrc_any_inbound;
	policy.window_size = 128;
	if (srtp_create(&session, &policy) != srtp_err_status_ok) {
		fputs("srtp_create failed\n", stderr);
		exit(1);
	}
	return session;
}

static int on_secrets(void *data, const bzrtpSrtpSecrets_t *s, uint8_t part)
{
	struct peer *p = data;
	if ((part & ZRTP_SRTP_SECRETS_FOR_SENDER) && !p->out)
		p->out = make_srtp(s, 1);
	if ((part & ZRTP_SRTP_SECRETS_FOR_RECEIVER) && !p->in)
		p->in = make_srtp(s, 0);
	return 0;
}

static const struct algorithm {
	const char *name;
	uint8_t kind, number;
} algorithms[] = {
	{"S256", ZRTP_HASH_TYPE, ZRTP_HASH_S256},
	{"S384", ZRTP_HASH_TYPE, ZRTP_HASH_S384},
	{"AES1", ZRTP_CIPHERBLOCK_TYPE, ZRTP_CIPHER_AES1},
	{"AES3", ZRTP_CIPHERBLOCK_TYPE, ZRTP_CIPHER_AES3},
	{"HS32", ZRTP_AUTHTAG_TYPE, ZRTP_AUTHTAG_HS32},
	{"HS80", ZRTP_AUTHTAG_TYPE, ZRTP_AUTHTAG_HS80},
	{"X255", ZRTP_KEYAGREEMENT_TYPE, ZRTP_KEYAGREEMENT_X255},
	{"X448", ZRTP_KEYAGREEMENT_TYPE, ZRTP_KEYAGREEMENT_X448},
	{"DH2k", ZRTP_KEYAGREEMENT_TYPE, ZRTP_KEYAGREEMENT_DH2k},
	{"DH3k", ZRTP_KEYAGREEMENT_TYPE, ZRTP_KEYAGREEMENT_DH3k},
	{"B32", ZRTP_SAS_TYPE, ZRTP_SAS_B32},
	{"B256", ZRTP_SAS_TYPE, ZRTP_SAS_B256},
};

/* name: the numbers differ from kind to kind. */
static const char *name(uint8_t number)
{
	for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++)
		if (algorithms[i].number == number)
			return algorithms[i].name;
	return "?";
}

static int on_start(void *data, const bzrtpSrtpSecrets_t *s, int32_t verified)
{
	struct peer *p = data;
	p->secure = 1;
	p->heard_at = now_ms();
	printf("secure sas=%s hash=%s cipher=%s auth=%s ka=%s sastype=%s\n", s->sas, name(s->hashAlgo), name(s->cipherAlgo),
	       name(s->authTagAlgo), name(s->keyAgreementAlgo), name(s->sasAlgo));
	printf("trust mismatch=%d verified=%d aux=%s\n", s->cacheMismatch, verified != 0,
	       s->auxSecretMismatch == BZRTP_AUXSECRET_MATCH ? "match" :
	       s->auxSecretMismatch == BZRTP_AUXSECRET_UNSET ? "unset" : "mismatch");
	fflush(stdout);
	if (p->verifies)
		bzrtp_SASVerified(p->zrtp);
	return 0;
}

static int on_status(void *data, uint8_t level, uint8_t id, const char *text)
{
	(void)data;
	fprintf(stderr, "libbzrtp: message %d of level %d: %s\n", id, level, text ? text : "");
	return 0;
}

/* offer: only these algorithms, all of one kind; libbzrtp adds what every
 * endpoint must have. */
static void offer(struct peer *p, char *names)
{
	uint8_t list[7], n = 0, kind = 0;
	for (char *s = strtok(names, ","); s; s = strtok(NULL, ",")) {
		size_t i = 0;
		while (i < sizeof algorithms / sizeof *algorithms && strcmp(algorithms[i].name, s))
			i++;
		if (i == sizeof algorithms / sizeof *algorithms || n == sizeof list || (n && algorithms[i].kind != kind)) {
			fprintf(stderr, "%s: no algorithm, or one too many, or of another kind\n", s);
			exit(2);
		}
		kind = algorithms[i].kind;
		list[n++] = algorithms[i].number;
	}
	if (n)
		bzrtp_setSupportedCryptoTypes(p->zrtp, kind, list, n);
}

/* address: ADDR:PORT of IPv4. */
static struct sockaddr_in address(char *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	char *colon = strchr(s, ':'), *end = NULL;
	unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
	if (colon)
		*colon = 0;
	if (!colon || *end || end == colon + 1 || port > 65535 || inet_pton(AF_INET, s, &a.sin_addr) != 1) {
		fprintf(stderr, "%s: not ADDR:PORT\n", s);
		exit(2);
	}
	a.sin_port = htons((uint16_t)port);
	return a;
}

/* remember: secrets are kept from call to call. */
static void remember(struct peer *p, const char *path, int forget)
{
	sqlite3 *db;
	if (sqlite3_open(path, &db) != SQLITE_OK) {
		fprintf(stderr, "%s: %s\n", path, sqlite3_errmsg(db));
		exit(1);
	}
	int created = bzrtp_setZIDCache(p->zrtp, db, "sip:bzrtp@example.org", "sip:securecall@example.org");
	if (created != 0 && created != BZRTP_CACHE_SETUP && created != BZRTP_CACHE_UPDATE) {
		fprintf(stderr, "libbzrtp refuses its cache: %d\n", created);
		exit(1);
	}
	if (forget && sqlite3_exec(db, "DELETE FROM zrtp", NULL, NULL, NULL) != SQLITE_OK) {
		fprintf(stderr, "%s: %s\n", path, sqlite3_errmsg(db));
		exit(1);
	}
}

/* begin: the peer's address is known, ZRTP starts. */
static void begin(struct peer *p)
{
	if (bzrtp_startChannelEngine(p->zrtp, p->ssrc) != 0) {
		fputs("bzrtp_startChannelEngine failed\n", stderr);
		exit(1);
	}
}

/* say: one packet of speech, or of silence before it and after its end. */
static void say(struct peer *p, FILE *from, uint16_t *seq, uint32_t *timestamp)
{
	uint8_t b[12 + FRAME + SRTP_MAX_TRAILER_LEN] = {0x80, 0};
	int n = 12 + FRAME;
	put16(b + 2, (*seq)++);
	put32(b + 4, *timestamp);
	put32(b + 8, p->ssrc);
	*timestamp += FRAME;
	memset(b + 12, 0xff, FRAME);
	if (*timestamp > LEAD * FRAME)
		(void)!fread(b + 12, 1, FRAME, from);
	if (srtp_protect(p->out, b, &n) == srtp_err_status_ok)
		transmit(p, b, (size_t)n);
}

static void say_bye(struct peer *p)
{
	uint8_t b[16 + SRTP_MAX_TRAILER_LEN + 4] = {0x80, 201, 0, 1, 0, 0, 0, 0, 0x81, 203, 0, 1};
	int n = 16;
	put32(b + 4, p->ssrc);
	put32(b + 12, p->ssrc);
	if (srtp_protect_rtcp(p->out, b, &n) == srtp_err_status_ok)
		transmit(p, b, (size_t)n);
}

/* is_bye: walks the compound packet. */
static int is_bye(const uint8_t *b, int n)
{
	while (n >= 4) {
		int size = 4 * (1 + (b[2] << 8 | b[3]));
		if (b[1] == 203)
			return 1;
		if (size > n)
			break;
		b += size, n -= size;
	}
	return 0;
}

/* hear: one datagram; 1: the other side has left. */
static int hear(struct peer *p, uint8_t *b, int n, FILE *to)
{
	if (n < 12)
		return 0;
	if (b[0] == 0x10) {
		bzrtp_processMessage(p->zrtp, p->ssrc, b, (uint16_t)n);
		return 0;
	}
	if (b[0] >> 6 != 2 || !p->in)
		return 0;
	int control = b[1] >= 192 && b[1] <= 223; /* RFC 5761, Section 4 */
	if ((control ? srtp_unprotect_rtcp(p->in, b, &n) : srtp_unprotect(p->in, b, &n)) != srtp_err_status_ok) {
		p->refused++;
		return 0;
	}
	p->heard_at = now_ms();
	if (control)
		return is_bye(b, n);
	p->heard++;
	fwrite(b + 12, 1, (size_t)n - 12, to); /* securecall sends neither CSRC nor extension */
	return 0;
}

/* talk: the whole call; says how it ended. */
static const char *talk(struct peer *p, int dials, uint64_t limit, FILE *from, FILE *to)
{
	uint64_t start = now_ms(), next = 0, said = 0;
	uint16_t seq = 100;
	uint32_t timestamp = 0;
	for (;;) {
		struct pollfd f = {.fd = p->fd, .events = POLLIN};
		if (poll(&f, 1, 2) > 0) {
			uint8_t b[2048];
			struct sockaddr_in sender;
			socklen_t size = sizeof sender;
			ssize_t n = recvfrom(p->fd, b, sizeof b, 0, (struct sockaddr *)&sender, &size);
			if (n > 0 && !p->to.sin_port) {
				p->to = sender;
				begin(p);
			}
			if (n > 0 && hear(p, b, (int)n, to))
				return "bye";
		}
		uint64_t now = now_ms();
		if (now - start > limit)
			return "timeout";
		if (p->to.sin_port)
			bzrtp_iterate(p->zrtp, p->ssrc, now);
		if (!p->secure || !p->out)
			continue;
		if (now > p->heard_at + QUIET_MS)
			return "quiet";
		if (now >= next) {
			next = (next ? next : now) + 20;
			say(p, from, &seq, &timestamp);
		}
		if (feof(from) && !said)
			said = now;
		if (dials && said && now - said > GRACE_MS) {
			for (int i = 0; i < BYES; i++) {
				say_bye(p);
				poll(NULL, 0, BYE_GAP_MS);
			}
			return "bye";
		}
	}
}

int main(int argc, char **argv)
{
	struct peer p = {.fd = socket(AF_INET, SOCK_DGRAM, 0)};
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof here;
	bzrtpCallbacks_t callbacks = {
		.bzrtp_sendData = on_send,
		.bzrtp_srtpSecretsAvailable = on_secrets,
		.bzrtp_startSrtpSession = on_start,
		.bzrtp_statusMessage = on_status,
		.bzrtp_messageLevel = BZRTP_MESSAGE_WARNING,
	};
	uint64_t seconds = 25;
	int o, dials = 0, forget = 0;
	const char *cache = NULL, *secret = NULL;

	if (srtp_init() != srtp_err_status_ok || !(p.zrtp = bzrtp_createBzrtpContext()))
		return 1;
	while ((o = getopt(argc, argv, "b:d:n:h:c:a:k:s:C:FVx:")) != -1)
		switch (o) {
		case 'b':
			here = address(optarg);
			break;
		case 'd':
			p.to = address(optarg);
			dials = 1;
			break;
		case 'n':
			seconds = strtoul(optarg, NULL, 10);
			break;
		case 'C':
			cache = optarg;
			break;
		case 'F':
			forget = 1;
			break;
		case 'V':
			p.verifies = 1;
			break;
		case 'x':
			secret = optarg;
			break;
		case '?':
			return 2;
		default:
			offer(&p, optarg);
		}
	if (argc - optind != 2) {
		fputs("usage: bzrtp-peer [options] SAY HEARD\n", stderr);
		return 2;
	}
	FILE *from = fopen(argv[optind], "rb"), *to = fopen(argv[optind + 1], "wb");
	if (!from || !to)
		die("SAY or HEARD");
	if (p.fd < 0 || bind(p.fd, (struct sockaddr *)&here, sizeof here) || getsockname(p.fd, (struct sockaddr *)&here, &size))
		die("socket");
	if (getrandom(&p.ssrc, sizeof p.ssrc, 0) != sizeof p.ssrc)
		die("getrandom");
	if (cache)
		remember(&p, cache, forget);
	if (bzrtp_setCallbacks(p.zrtp, &callbacks) || bzrtp_initBzrtpContext(p.zrtp, p.ssrc) ||
	    bzrtp_setClientData(p.zrtp, p.ssrc, &p)) {
		fputs("libbzrtp refuses its context\n", stderr);
		return 1;
	}
	if (secret && bzrtp_setAuxiliarySharedSecret(p.zrtp, (const uint8_t *)secret, strlen(secret))) {
		fputs("libbzrtp refuses the auxiliary secret\n", stderr);
		return 1;
	}
	printf("port %d\n", ntohs(here.sin_port));
	fflush(stdout);
	if (dials)
		begin(&p);

	const char *how = talk(&p, dials, seconds * 1000, from, to);
	printf("ended %s heard=%u refused=%u\n", how, p.heard, p.refused);
	bzrtp_destroyBzrtpContext(p.zrtp, p.ssrc);
	if (fclose(to))
		die("HEARD");
	return !strcmp(how, "timeout");
}
