/* A DCB capable NIC for tests, as a library to preload: it answers RTM_GETDCB and RTM_SETDCB as a driver would.
 *
 *   FAKEDCB=DIRECTORY LD_PRELOAD=fakedcb.so PROGRAM
 *
 * A NIC is there for each file DIRECTORY/INTERFACE.nic; of other interfaces the kernel is asked. What has been set lies
 * in DIRECTORY/INTERFACE.state, so that programs which run at the same time or one after the other see the same NIC.
 * Every request about DCB, also of other interfaces, and each answer of a fake NIC is a line of DIRECTORY/log:
 * process id, program, REQ or ANS, interface, command number, the message in hex.
 *
 * Words in the .nic file. Of the NIC when it is first asked:
 *   dcbx N        GDCBX (default 0x0d: host, CEE and IEEE)
 *   tcs N         traffic classes, and priorities with PFC at a time (default 8)
 *   state N       GSTATE (default 1)
 * At each request:
 *   managed       firmware runs DCBX now: GDCBX says LLD_MANAGED, setters refuse; the peer's settings are shown
 *   refuse C E    command C (a number) is refused by errno E in the answer's octet
 *   fail C E      command C fails with errno E, as where the operation is missing
 *   keep          SDCBX succeeds and changes nothing
 *
 * The answers come to the program by the kernel, from a socket of ours to its own, so that poll, epoll and time-outs
 * work as they do; only the sender's port is rewritten to 0, the kernel's. Changes are announced to RTNLGRP_DCB.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/dcbnl.h>

#define MOST_APPS 256
#define MOST_OCTETS 8192
#define GROUP_DCB (1u << (RTNLGRP_DCB - 1))

struct group { unsigned char pgid[8], map[8], strict[8], percent[8], bandwidth[8]; };

struct nic {
	unsigned char made, dcbx, tcs, state, pfc_state, features[4], changed;
	struct ieee_ets ets;
	struct ieee_pfc pfc;
	struct group tx, rx;
	unsigned int apps;
	struct dcb_app app[MOST_APPS];
};

struct settings { int dcbx, tcs, state, managed, keep, refuse[32], fail[32]; };

static int reply_socket = -1;
static unsigned int reply_port;

/* Messages. */

static struct nlattr *put(struct nlmsghdr *m, int type, const void *data, int length)
{
	struct nlattr *a = (void *)((char *)m + NLMSG_ALIGN(m->nlmsg_len));

	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + length;
	memset((char *)a + NLA_HDRLEN, 0, NLA_ALIGN(length));
	if (length)
		memcpy((char *)a + NLA_HDRLEN, data, length);
	m->nlmsg_len = NLMSG_ALIGN(m->nlmsg_len) + NLA_ALIGN(a->nla_len);
	return a;
}

static void put8(struct nlmsghdr *m, int type, unsigned char value)
{
	put(m, type, &value, 1);
}

static void end_nest(struct nlmsghdr *m, struct nlattr *nest)
{
	nest->nla_len = (char *)m + m->nlmsg_len - (char *)nest;
}

static void *data(const struct nlattr *a)
{
	return (char *)a + NLA_HDRLEN;
}

static int size(const struct nlattr *a)
{
	return a->nla_len - NLA_HDRLEN;
}

static struct nlattr *next(void **at, int *left)
{
	struct nlattr *a = *at;

	if (*left < NLA_HDRLEN || a->nla_len < NLA_HDRLEN || a->nla_len > *left)
		return NULL;
	*at = (char *)a + NLA_ALIGN(a->nla_len);
	*left -= NLA_ALIGN(a->nla_len);
	return a;
}

static struct nlattr *find(void *at, int left, int type)
{
	struct nlattr *a;

	while ((a = next(&at, &left)))
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return a;
	return NULL;
}

static struct nlattr *find_in(struct nlattr *nest, int type)
{
	return nest ? find(data(nest), size(nest), type) : NULL;
}

static int octet(struct nlattr *a, int otherwise)
{
	return a && size(a) >= 1 ? *(unsigned char *)data(a) : otherwise;
}

/* The NIC's file and what the test wants of it. */

static const char *directory(void)
{
	return getenv("FAKEDCB");
}

static FILE *open_file(const char *name, const char *suffix)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s%s", directory(), name, suffix);
	return fopen(path, "re");
}

static int read_settings(const char *name, struct settings *s)
{
	FILE *file = open_file(name, ".nic");
	char word[32];
	int command, number;

	memset(s, 0, sizeof *s);
	s->dcbx = 0x0d;
	s->tcs = 8;
	s->state = 1;
	if (!file)
		return 0;
	while (fscanf(file, "%31s", word) == 1) {
		if (!strcmp(word, "managed"))
			s->managed = 1;
		else if (!strcmp(word, "keep"))
			s->keep = 1;
		else if (!strcmp(word, "dcbx"))
			command = fscanf(file, "%i", &s->dcbx);
		else if (!strcmp(word, "tcs"))
			command = fscanf(file, "%i", &s->tcs);
		else if (!strcmp(word, "state"))
			command = fscanf(file, "%i", &s->state);
		else if (fscanf(file, "%i %i", &command, &number) == 2 && command > 0 && command < 32)
			(word[0] == 'r' ? s->refuse : s->fail)[command] = number;
	}
	fclose(file);
	return 1;
}

static struct nic *open_nic(const char *name, const struct settings *s, int *fd)
{
	char path[512];
	struct nic *nic;

	snprintf(path, sizeof path, "%s/%s.state", directory(), name);
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (*fd < 0 || flock(*fd, LOCK_EX) || ftruncate(*fd, sizeof *nic))
		abort();
	nic = mmap(NULL, sizeof *nic, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (nic == MAP_FAILED)
		abort();
	if (!nic->made) {
		nic->made = 1;
		nic->dcbx = s->dcbx;
		nic->tcs = s->tcs;
		nic->state = s->state;
		nic->ets.ets_cap = nic->pfc.pfc_cap = s->tcs;
	}
	return nic;
}

static void close_nic(struct nic *nic, int fd)
{
	munmap(nic, sizeof *nic);
	close(fd);
}

static void record(const char *what, const char *name, const struct nlmsghdr *m)
{
	const struct dcbmsg *dcb = NLMSG_DATA(m);
	const unsigned char *octets = (const void *)m;
	char line[2 * MOST_OCTETS + 128], path[512];
	int at, fd, command = m->nlmsg_type == NLMSG_ERROR ? 0 : dcb->cmd;

	at = snprintf(line, 128, "%d %s %s %.16s %d ", getpid(), program_invocation_short_name, what, name, command);
	for (unsigned int i = 0; i < m->nlmsg_len && i < MOST_OCTETS; i++)
		at += sprintf(line + at, "%02x", octets[i]);
	line[at++] = '\n';
	snprintf(path, sizeof path, "%s/log", directory());
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0 || syscall(SYS_write, fd, line, at) != at)
		abort();
	close(fd);
}

/* What the driver does. Setters answer as the kernel's do: 0, or the low octet of a negative errno. */

static int find_app(struct nic *nic, const struct dcb_app *app, int with_priority)
{
	for (unsigned int i = 0; i < nic->apps; i++)
		if (nic->app[i].selector == app->selector && nic->app[i].protocol == app->protocol &&
		    (!with_priority || nic->app[i].priority == app->priority))
			return i;
	return -1;
}

static int add_app(struct nic *nic, const struct dcb_app *app)
{
	if (find_app(nic, app, 1) >= 0)
		return -EEXIST;
	if (nic->apps == MOST_APPS)
		return -ENOMEM;
	nic->app[nic->apps++] = *app;
	return 0;
}

static int delete_app(struct nic *nic, int at)
{
	if (at < 0)
		return -ENOENT;
	nic->app[at] = nic->app[--nic->apps];
	return 0;
}

static int check_ets(const struct nic *nic, const struct ieee_ets *ets)
{
	int percent = 0, shared = 0;

	for (int i = 0; i < 8; i++) {
		if (ets->prio_tc[i] >= nic->tcs)
			return -EINVAL;
		if (ets->tc_tsa[i] == IEEE_8021QAZ_TSA_ETS) {
			shared = 1;
			percent += ets->tc_tx_bw[i];
		}
	}
	return shared && percent != 100 ? -EINVAL : 0;
}

static int ieee_set(struct nic *nic, struct nlattr *ieee, int delete)
{
	struct nlattr *a = find_in(ieee, DCB_ATTR_IEEE_ETS), *table = find_in(ieee, DCB_ATTR_IEEE_APP_TABLE);
	int left = table ? size(table) : 0, error = 0;
	void *at = table ? data(table) : NULL;
	const int needed = DCB_CAP_DCBX_HOST | DCB_CAP_DCBX_VER_IEEE;

	if (!ieee || (nic->dcbx & needed) != needed)
		return -EINVAL;
	if (!delete && a) {
		struct ieee_ets ets;

		if (size(a) < (int)sizeof ets)
			return -EINVAL;
		memcpy(&ets, data(a), sizeof ets);
		if ((error = check_ets(nic, &ets)))
			return error;
		ets.ets_cap = nic->tcs;
		nic->ets = ets;
	}
	if (!delete && (a = find_in(ieee, DCB_ATTR_IEEE_PFC))) {
		if (size(a) < (int)sizeof nic->pfc)
			return -EINVAL;
		memcpy(&nic->pfc, data(a), sizeof nic->pfc);
		nic->pfc.pfc_cap = nic->tcs;
	}
	while (!error && (a = next(&at, &left)))
		error = delete ? delete_app(nic, find_app(nic, data(a), 1)) : add_app(nic, data(a));
	return error;
}

static void ieee_get(struct nic *nic, const struct settings *s, struct nlmsghdr *r, const char *name)
{
	struct nlattr *ieee, *table;

	put(r, DCB_ATTR_IFNAME, name, strlen(name) + 1);
	ieee = put(r, DCB_ATTR_IEEE, NULL, 0);
	put(r, DCB_ATTR_IEEE_ETS, &nic->ets, sizeof nic->ets);
	put(r, DCB_ATTR_IEEE_PFC, &nic->pfc, sizeof nic->pfc);
	table = put(r, DCB_ATTR_IEEE_APP_TABLE, NULL, 0);
	for (unsigned int i = 0; i < nic->apps; i++)
		put(r, DCB_ATTR_IEEE_APP, &nic->app[i], sizeof nic->app[i]);
	end_nest(r, table);
	if (s->managed) {
		struct dcb_app roce = { IEEE_8021QAZ_APP_SEL_DGRAM, 3, 4791 };
		struct ieee_ets ets = { .tc_tx_bw = { 50, 50 }, .tc_tsa = { 2, 2 }, .prio_tc = { [3] = 1 } };
		struct ieee_pfc pfc = { .pfc_cap = 8, .pfc_en = 1 << 3 };

		put(r, DCB_ATTR_IEEE_PEER_ETS, &ets, sizeof ets);
		put(r, DCB_ATTR_IEEE_PEER_PFC, &pfc, sizeof pfc);
		table = put(r, DCB_ATTR_IEEE_PEER_APP, NULL, 0);
		put(r, DCB_ATTR_IEEE_APP, &roce, sizeof roce);
		end_nest(r, table);
	}
	end_nest(r, ieee);
	put8(r, DCB_ATTR_DCBX, nic->dcbx);
}

static void set_group(struct group *g, struct nlattr *nest)
{
	for (int i = 0; i < 8; i++) {
		struct nlattr *tc = find_in(nest, DCB_PG_ATTR_TC_0 + i);

		g->pgid[i] = octet(find_in(tc, DCB_TC_ATTR_PARAM_PGID), g->pgid[i]);
		g->map[i] = octet(find_in(tc, DCB_TC_ATTR_PARAM_UP_MAPPING), g->map[i]);
		g->strict[i] = octet(find_in(tc, DCB_TC_ATTR_PARAM_STRICT_PRIO), g->strict[i]);
		g->percent[i] = octet(find_in(tc, DCB_TC_ATTR_PARAM_BW_PCT), g->percent[i]);
		g->bandwidth[i] = octet(find_in(nest, DCB_PG_ATTR_BW_ID_0 + i), g->bandwidth[i]);
	}
}

static void put_group(struct nlmsghdr *r, int type, const struct group *g)
{
	struct nlattr *tc, *nest = put(r, type, NULL, 0);

	for (int i = 0; i < 8; i++) {
		tc = put(r, DCB_PG_ATTR_TC_0 + i, NULL, 0);
		put8(r, DCB_TC_ATTR_PARAM_PGID, g->pgid[i]);
		put8(r, DCB_TC_ATTR_PARAM_UP_MAPPING, g->map[i]);
		put8(r, DCB_TC_ATTR_PARAM_STRICT_PRIO, g->strict[i]);
		put8(r, DCB_TC_ATTR_PARAM_BW_PCT, g->percent[i]);
		end_nest(r, tc);
	}
	for (int i = 0; i < 8; i++)
		put8(r, DCB_PG_ATTR_BW_ID_0 + i, g->bandwidth[i]);
	end_nest(r, nest);
}

static void put_priorities(struct nlmsghdr *r, int type, int bits)
{
	struct nlattr *nest = put(r, type, NULL, 0);

	for (int i = 0; i < 8; i++)
		put8(r, DCB_PFC_UP_ATTR_0 + i, bits >> i & 1);
	end_nest(r, nest);
}

static void put_features(struct nlmsghdr *r, int type, const struct nic *nic)
{
	struct nlattr *nest = put(r, type, NULL, 0);

	for (int i = DCB_FEATCFG_ATTR_PG; i <= DCB_FEATCFG_ATTR_APP; i++)
		put8(r, i, nic->features[i - DCB_FEATCFG_ATTR_PG]);
	end_nest(r, nest);
}

static void cee_get(struct nic *nic, const struct settings *s, struct nlmsghdr *r, const char *name)
{
	struct nlattr *app, *table, *cee;

	put(r, DCB_ATTR_IFNAME, name, strlen(name) + 1);
	cee = put(r, DCB_ATTR_CEE, NULL, 0);
	put_group(r, DCB_ATTR_CEE_TX_PG, &nic->tx);
	put_group(r, DCB_ATTR_CEE_RX_PG, &nic->rx);
	put_priorities(r, DCB_ATTR_CEE_PFC, nic->pfc.pfc_en);
	table = put(r, DCB_ATTR_CEE_APP_TABLE, NULL, 0);
	for (unsigned int i = 0; i < nic->apps; i++) {
		app = put(r, DCB_ATTR_APP, NULL, 0);
		put8(r, DCB_APP_ATTR_IDTYPE, nic->app[i].selector);
		put(r, DCB_APP_ATTR_ID, &nic->app[i].protocol, 2);
		put8(r, DCB_APP_ATTR_PRIORITY, nic->app[i].priority);
		end_nest(r, app);
	}
	end_nest(r, table);
	put_features(r, DCB_ATTR_CEE_FEAT, nic);
	if (s->managed) {
		struct cee_pg pg = { .willing = 0, .pg_en = 1, .tcs_supported = 8, .pg_bw = { 60, 40 }, .prio_pg = { [3] = 1 } };
		struct cee_pfc pfc = { .pfc_en = 1 << 3, .tcs_supported = 8 };

		put(r, DCB_ATTR_CEE_PEER_PG, &pg, sizeof pg);
		put(r, DCB_ATTR_CEE_PEER_PFC, &pfc, sizeof pfc);
	}
	end_nest(r, cee);
	put8(r, DCB_ATTR_DCBX, nic->dcbx);
}

static int set_cee_app(struct nic *nic, struct nlattr *nest)
{
	struct nlattr *id = find_in(nest, DCB_APP_ATTR_ID);
	struct dcb_app app = { octet(find_in(nest, DCB_APP_ATTR_IDTYPE), 0), octet(find_in(nest, DCB_APP_ATTR_PRIORITY), 0), 0 };
	int at;

	if (!id)
		return -EINVAL;
	memcpy(&app.protocol, data(id), 2);
	at = find_app(nic, &app, 0);
	if (at >= 0)
		delete_app(nic, at);
	return app.priority ? add_app(nic, &app) : 0;
}

static int set_mode(struct nic *nic, const struct settings *s, int mode)
{
	const int both = DCB_CAP_DCBX_VER_CEE | DCB_CAP_DCBX_VER_IEEE;

	if (s->managed || (mode & DCB_CAP_DCBX_LLD_MANAGED) || (mode & both) == both || !(mode & DCB_CAP_DCBX_HOST))
		return 1;
	if (!s->keep)
		nic->dcbx = mode;
	return 0;
}

/* 0, or the errno of an NLMSG_ERROR. */
static int answer(struct nic *nic, const struct settings *s, int command, void *at, int left, struct nlmsghdr *r, char *name)
{
	struct nlattr *a, *nest;
	int refused = s->refuse[command] ? -s->refuse[command] : s->managed ? -EINVAL : 0;
	unsigned char mode = nic->dcbx;

	if (s->fail[command])
		return -s->fail[command];
	if (s->managed)
		mode = (nic->dcbx & ~DCB_CAP_DCBX_HOST) | DCB_CAP_DCBX_LLD_MANAGED;
	switch (command) {
	case DCB_CMD_GSTATE:
		put8(r, DCB_ATTR_STATE, nic->state);
		break;
	case DCB_CMD_SSTATE:
		if (!refused)
			nic->state = octet(find(at, left, DCB_ATTR_STATE), nic->state);
		put8(r, DCB_ATTR_STATE, !!refused);
		break;
	case DCB_CMD_GDCBX:
		put8(r, DCB_ATTR_DCBX, mode);
		break;
	case DCB_CMD_SDCBX:
		put8(r, DCB_ATTR_DCBX, refused ? 1 : set_mode(nic, s, octet(find(at, left, DCB_ATTR_DCBX), 0)));
		break;
	case DCB_CMD_GCAP:
		a = put(r, DCB_ATTR_CAP, NULL, 0);
		put8(r, DCB_CAP_ATTR_PG, 1);
		put8(r, DCB_CAP_ATTR_PFC, 1);
		put8(r, DCB_CAP_ATTR_UP2TC, 0);
		put8(r, DCB_CAP_ATTR_PG_TCS, 1 << (nic->tcs - 1));
		put8(r, DCB_CAP_ATTR_PFC_TCS, 1 << (nic->tcs - 1));
		put8(r, DCB_CAP_ATTR_GSP, 1);
		put8(r, DCB_CAP_ATTR_BCN, 0);
		put8(r, DCB_CAP_ATTR_DCBX, mode);
		end_nest(r, a);
		break;
	case DCB_CMD_GNUMTCS:
		a = put(r, DCB_ATTR_NUMTCS, NULL, 0);
		put8(r, DCB_NUMTCS_ATTR_PG, nic->tcs);
		put8(r, DCB_NUMTCS_ATTR_PFC, nic->tcs);
		end_nest(r, a);
		break;
	case DCB_CMD_GPERM_HWADDR: {
		unsigned char mac[32] = { 2, 0, 0, 0, 0, 1 };

		put(r, DCB_ATTR_PERM_HWADDR, mac, sizeof mac);
		break;
	}
	case DCB_CMD_PGTX_GCFG:
		put_group(r, DCB_ATTR_PG_CFG, &nic->tx);
		break;
	case DCB_CMD_PGRX_GCFG:
		put_group(r, DCB_ATTR_PG_CFG, &nic->rx);
		break;
	case DCB_CMD_PGTX_SCFG:
	case DCB_CMD_PGRX_SCFG:
		set_group(command == DCB_CMD_PGTX_SCFG ? &nic->tx : &nic->rx, find(at, left, DCB_ATTR_PG_CFG));
		nic->changed = 1;
		put8(r, DCB_ATTR_PG_CFG, 0);
		break;
	case DCB_CMD_PFC_GCFG:
		put_priorities(r, DCB_ATTR_PFC_CFG, nic->pfc.pfc_en);
		break;
	case DCB_CMD_PFC_SCFG:
		nest = find(at, left, DCB_ATTR_PFC_CFG);
		for (int i = 0; i < 8; i++)
			if ((a = find_in(nest, DCB_PFC_UP_ATTR_0 + i)))
				nic->pfc.pfc_en = (nic->pfc.pfc_en & ~(1 << i)) | (!!octet(a, 0) << i);
		nic->changed = 1;
		put8(r, DCB_ATTR_PFC_CFG, 0);
		break;
	case DCB_CMD_SET_ALL:
		put8(r, DCB_ATTR_SET_ALL, !nic->changed);
		nic->changed = 0;
		break;
	case DCB_CMD_PFC_GSTATE:
		put8(r, DCB_ATTR_PFC_STATE, nic->pfc_state);
		break;
	case DCB_CMD_PFC_SSTATE:
		nic->pfc_state = octet(find(at, left, DCB_ATTR_PFC_STATE), nic->pfc_state);
		put8(r, DCB_ATTR_PFC_STATE, 0);
		break;
	case DCB_CMD_SAPP:
		put8(r, DCB_ATTR_APP, refused ? refused : set_cee_app(nic, find(at, left, DCB_ATTR_APP)));
		break;
	case DCB_CMD_GFEATCFG:
		put_features(r, DCB_ATTR_FEATCFG, nic);
		break;
	case DCB_CMD_SFEATCFG:
		nest = find(at, left, DCB_ATTR_FEATCFG);
		for (int i = DCB_FEATCFG_ATTR_PG; i <= DCB_FEATCFG_ATTR_APP; i++)
			nic->features[i - DCB_FEATCFG_ATTR_PG] =
				octet(find_in(nest, i), nic->features[i - DCB_FEATCFG_ATTR_PG]);
		put8(r, DCB_ATTR_FEATCFG, 0);
		break;
	case DCB_CMD_CEE_GET:
		cee_get(nic, s, r, name);
		break;
	case DCB_CMD_IEEE_GET:
		ieee_get(nic, s, r, name);
		break;
	case DCB_CMD_IEEE_SET:
	case DCB_CMD_IEEE_DEL:
		if (!refused)
			refused = ieee_set(nic, find(at, left, DCB_ATTR_IEEE), command == DCB_CMD_IEEE_DEL);
		put8(r, DCB_ATTR_IEEE, refused);
		break;
	default:
		return -EOPNOTSUPP;
	}
	return 0;
}

/* To the program that asks, and to those who listen for changes. */

static unsigned int port_of(int fd)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	socklen_t length = sizeof address;

	connect(fd, &nobody, sizeof nobody); /* one that is connected to the kernel takes nothing from us */

	if (getsockname(fd, (void *)&address, &length) == 0 && !address.nl_pid) {
		bind(fd, (void *)&address, sizeof address);
		getsockname(fd, (void *)&address, &length);
	}
	return address.nl_pid;
}

static void deliver(const struct nlmsghdr *m, unsigned int port, unsigned int groups)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_pid = port, .nl_groups = groups };
	struct iovec part = { (void *)m, m->nlmsg_len };
	struct msghdr message = { .msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &part, .msg_iovlen = 1 };

	if (reply_socket < 0) {
		struct sockaddr_nl own = { .nl_family = AF_NETLINK, .nl_pid = 0xdcb00000 | (getpid() & 0xfffff) };

		reply_socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
		if (reply_socket < 0 || bind(reply_socket, (void *)&own, sizeof own))
			abort();
		reply_port = own.nl_pid;
	}
	if (syscall(SYS_sendmsg, reply_socket, &message, 0) < 0 && !groups) {
		perror("fakedcb: cannot answer");
		abort();
	}
}

static void announce(const struct nlmsghdr *m, int command, const char *name)
{
	char buffer[256] = { 0 };
	struct nlmsghdr *news = (void *)buffer;

	memcpy(news, m, NLMSG_LENGTH(sizeof(struct dcbmsg)));
	news->nlmsg_len = NLMSG_LENGTH(sizeof(struct dcbmsg));
	news->nlmsg_flags = 0; /* no request: the kernel, which gets it as well, leaves it alone */
	((struct dcbmsg *)NLMSG_DATA(news))->cmd = command;
	put(news, DCB_ATTR_IFNAME, name, strlen(name) + 1);
	deliver(news, 0, GROUP_DCB);
}

/* Whether the message was about DCB of a fake NIC, and has been answered. */
static int take(int fd, const void *buffer, size_t length)
{
	const struct nlmsghdr *m = buffer;
	char out[MOST_OCTETS] = { 0 }, name[16] = "";
	struct nlmsghdr *r = (void *)out;
	struct settings s;
	struct dcbmsg *dcb;
	struct nlattr *a;
	struct nic *nic;
	int left, nic_fd, error;
	void *at;

	if (!directory() || length < NLMSG_LENGTH(sizeof *dcb) || m->nlmsg_len > length ||
	    (m->nlmsg_type != RTM_GETDCB && m->nlmsg_type != RTM_SETDCB))
		return 0;
	dcb = NLMSG_DATA(m);
	at = (char *)dcb + NLMSG_ALIGN(sizeof *dcb);
	left = m->nlmsg_len - NLMSG_LENGTH(sizeof *dcb);
	if ((a = find(at, left, DCB_ATTR_IFNAME)))
		snprintf(name, sizeof name, "%.*s", size(a), (char *)data(a));
	record("REQ", name[0] ? name : "-", m);
	if (!read_settings(name, &s))
		return 0;
	r->nlmsg_type = m->nlmsg_type;
	r->nlmsg_flags = m->nlmsg_flags;
	r->nlmsg_seq = m->nlmsg_seq;
	r->nlmsg_pid = port_of(fd);
	r->nlmsg_len = NLMSG_LENGTH(sizeof *dcb);
	((struct dcbmsg *)NLMSG_DATA(r))->cmd = dcb->cmd;
	nic = open_nic(name, &s, &nic_fd);
	error = dcb->cmd < 32 ? answer(nic, &s, dcb->cmd, at, left, r, name) : -EOPNOTSUPP;
	close_nic(nic, nic_fd);
	if (!error) {
		record("ANS", name, r);
		deliver(r, r->nlmsg_pid, 0);
		if (dcb->cmd == DCB_CMD_IEEE_SET || dcb->cmd == DCB_CMD_IEEE_DEL)
			announce(r, dcb->cmd, name);
	}
	if (error || (m->nlmsg_flags & NLM_F_ACK)) {
		struct nlmsgerr *e = NLMSG_DATA(r);

		r->nlmsg_type = NLMSG_ERROR;
		r->nlmsg_flags = 0;
		r->nlmsg_len = NLMSG_LENGTH(sizeof *e);
		e->error = error;
		e->msg = *m;
		record("ANS", name, r);
		deliver(r, r->nlmsg_pid, 0);
	}
	return 1;
}

/* The library functions that netlink goes through. */

static void *real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static int is_rtnetlink(int fd)
{
	int domain = 0, protocol = -1;
	socklen_t length = sizeof domain;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) || domain != AF_NETLINK)
		return 0;
	length = sizeof protocol;
	return !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) && protocol == NETLINK_ROUTE;
}

static void hide_sender(struct sockaddr *address)
{
	struct sockaddr_nl *from = (void *)address;

	if (from && from->nl_family == AF_NETLINK && (from->nl_pid & 0xfff00000) == 0xdcb00000)
		from->nl_pid = 0;
}

ssize_t send(int fd, const void *buffer, size_t length, int flags)
{
	ssize_t (*function)(int, const void *, size_t, int) = real("send");

	return is_rtnetlink(fd) && take(fd, buffer, length) ? (ssize_t)length : function(fd, buffer, length, flags);
}

ssize_t write(int fd, const void *buffer, size_t length)
{
	ssize_t (*function)(int, const void *, size_t) = real("write");
	int before = errno;

	if (is_rtnetlink(fd) && take(fd, buffer, length))
		return length;
	errno = before;
	return function(fd, buffer, length);
}

ssize_t sendto(int fd, const void *buffer, size_t length, int flags, const struct sockaddr *to, socklen_t size)
{
	ssize_t (*function)(int, const void *, size_t, int, const struct sockaddr *, socklen_t) = real("sendto");

	if (is_rtnetlink(fd) && take(fd, buffer, length))
		return length;
	return function(fd, buffer, length, flags, to, size);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	ssize_t (*function)(int, const struct msghdr *, int) = real("sendmsg");
	const struct iovec *part = message->msg_iov;

	if (message->msg_iovlen == 1 && is_rtnetlink(fd) && take(fd, part->iov_base, part->iov_len))
		return part->iov_len;
	return function(fd, message, flags);
}

ssize_t recvfrom(int fd, void *buffer, size_t length, int flags, struct sockaddr *from, socklen_t *size)
{
	ssize_t (*function)(int, void *, size_t, int, struct sockaddr *, socklen_t *) = real("recvfrom");
	ssize_t received = function(fd, buffer, length, flags, from, size);

	if (received >= 0)
		hide_sender(from);
	return received;
}

ssize_t __recvfrom_chk(int fd, void *buffer, size_t length, size_t room, int flags, struct sockaddr *from, socklen_t *size)
{
	(void)room;
	return recvfrom(fd, buffer, length, flags, from, size);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	ssize_t (*function)(int, struct msghdr *, int) = real("recvmsg");
	ssize_t received = function(fd, message, flags);

	if (received >= 0)
		hide_sender(message->msg_name);
	return received;
}
