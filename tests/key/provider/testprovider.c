/*
 * A key provider for tests. What it does is a word in testprovider.mode: good, or the fault that a test is about.
 *
 * Byte number i of the secret with a key id and a purpose is: 3 * the id's first letter + 7 * i, one more to verify.
 */
#include "postgres.h"

#include <unistd.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "pgseal_key_provider.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static char *mode;

static bool
is(const char *word)
{
	return strcmp(mode, word) == 0;
}

static int
refuse(const char *text, char *complaint, size_t complaint_size)
{
	snprintf(complaint, complaint_size, "%s", text);
	return 7;
}

/* Waits for as long as there is a file "slow" in the data directory; what a careless provider would do. */
static void
wait_carelessly(void)
{
	bool		said = false;

	while (access("slow", F_OK) == 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (QueryCancelPending && !said)
			ereport(LOG, (errmsg("testprovider was not cancelled")));
		said = QueryCancelPending;
		pg_usleep(10000);
	}
}

static int
fetch(const char *key_id, const char *purpose, unsigned char *secret, size_t capacity, size_t *length,
	  char *complaint, size_t complaint_size)
{
	size_t		bytes = is("short") ? 31 : is("longest") ? capacity : 32;
	char		hex[65];

	ereport(LOG,
			(errmsg("testprovider was asked by %s for key %s to %s",
					IsUnderPostmaster ? "a child" : "the first process", key_id, purpose)));
	wait_carelessly();
	if (is("down") || (is("without 1") && strcmp(key_id, "1") == 0))
		return refuse("the vault is sealed,\n\tcall \033[31mthe operator\x7f", complaint, complaint_size);
	if (is("speechless"))
		return -1;
	if (is("endless"))
	{
		memset(complaint, '!', complaint_size);
		return 7;
	}
	if (is("silent"))
		return 0;
	if (is("too long"))
	{
		*length = capacity + 1;
		return 0;
	}
	if (is("zeros"))
	{
		*length = 32;
		return 0;
	}

	for (size_t i = 0; i < bytes; i++)
		secret[i] = (unsigned char) (3 * key_id[0] + 7 * i + (strcmp(purpose, "verify") == 0 && !is("one secret")));
	if (is("talkative") || is("raises the key"))
	{
		for (size_t i = 0; i < 32; i++)
			snprintf(hex + 2 * i, 3, "%02x", secret[i]);
		if (is("raises the key"))
			ereport(ERROR, (errmsg("token went away with %s", hex), errdetail("secret %s", hex)));
		snprintf(complaint, complaint_size, "secret %.10s and %s and %s is wrong", hex + 8, hex, hex + 20);
		return 7;
	}
	if (is("raises"))
		ereport(ERROR, (errmsg("token went away")));
	*length = bytes;
	return 0;
}

static struct pgseal_key_provider provider = {PGSEAL_KEY_PROVIDER_VERSION, "testprovider", fetch};

void
_PG_init(void)
{
	const void **variable = (const void **) find_rendezvous_variable(PGSEAL_KEY_PROVIDER_VARIABLE);

	DefineCustomStringVariable("testprovider.mode", "What the provider does.", NULL, &mode, "good",
							   PGC_SIGHUP, 0, NULL, NULL, NULL);
	if (is("other version"))
		provider.version = 2;
	if (is("no name"))
		provider.name = NULL;
	if (is("blank name"))
		provider.name = " ";
	if (is("odd name"))
		provider.name = "vault\n";
	if (is("long name"))
		provider.name = "vaultvaultvaultvaultvaultvaultvaultvaultvaultvaultvaultvaultvault";
	if (is("name of a setting"))
		provider.name = "pgseal.key_file";
	if (is("no function"))
		provider.fetch = NULL;
	*variable = is("absent") ? NULL : &provider;
}
