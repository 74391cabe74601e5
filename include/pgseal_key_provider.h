/*
 * pgseal_key_provider.h
 *
 * How another extension gives pgseal its secret: the KMS hook for C. docs/key-provider.md has a complete provider.
 *
 * A provider is a library in shared_preload_libraries. Its _PG_init puts the address of a struct pgseal_key_provider
 * into PostgreSQL's rendezvous variable PGSEAL_KEY_PROVIDER_VARIABLE:
 *
 *     const void **variable = (const void **) find_rendezvous_variable(PGSEAL_KEY_PROVIDER_VARIABLE);
 *     *variable = &provider;
 *
 * pgseal looks there once, in the postmaster, when every library of shared_preload_libraries is loaded: the order of
 * the list does not matter. What is put there later, by LOAD for instance, has no effect. A provider is a source of the
 * key like pgseal.key_command, pgseal.key_file and pgseal.key, and there has to be exactly one: no setting chooses it,
 * and with one of those set too there is no usable key.
 *
 * The file needs nothing of PostgreSQL, and is C11 as well as C++.
 */
#ifndef PGSEAL_KEY_PROVIDER_H
#define PGSEAL_KEY_PROVIDER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C"
{
#endif

/* Name of the rendezvous variable. */
#define PGSEAL_KEY_PROVIDER_VARIABLE "pgseal_key_provider"

/* Version of this interface. A pgseal that knows another one refuses the provider and says so. */
#define PGSEAL_KEY_PROVIDER_VERSION 1

/* A secret has at least, and at most, so many bytes. */
#define PGSEAL_KEY_MIN_BYTES 32
#define PGSEAL_KEY_MAX_BYTES 1024

/*
 * The struct, its name and its function belong to the provider and must stay as they are for as long as the process
 * lives; so they are best constants.
 */
struct pgseal_key_provider
{
	/* PGSEAL_KEY_PROVIDER_VERSION. Always the first member, in every version. */
	uint32_t	version;

	/*
	 * What administrators see as the source of the key, in seal.check_setup() and in messages: 1 to 63 characters of
	 * printable ASCII. It must not begin with "pgseal.", as the names of the other sources do.
	 */
	const char *name;

	/*
	 * Gives the secret of a key: raw bytes, not hexadecimal or base64 text.
	 *
	 * key_id           id of the key: "1" at first, "2" after the first rotation, and so on
	 * purpose          "sign": the secret under which this server seals
	 *                  "verify": the root from which the evolving secrets of pgseal.key_evolution come; it must be
	 *                  another secret than the one for "sign", and is asked for only with key evolution
	 *                  anything else, or a purpose for which there is no secret: a failure
	 * secret           where to write it; pgseal wipes it
	 * capacity         how many bytes may be written there: PGSEAL_KEY_MAX_BYTES or more. Nothing checks it for the
	 *                  provider: to write more is to corrupt the server's memory
	 * length           where to write how many bytes the secret has. A number above capacity says that it is too long
	 *                  and that nothing useful was written
	 * complaint        where to write why there is no secret: one line of UTF-8 for an administrator, ended by a NUL
	 * complaint_size   how many bytes may be written there, with the NUL
	 *
	 * Both texts are never NULL; *length is 0 and the complaint is empty before the call.
	 *
	 * Returns 0 if it wrote the secret, and any other number if it has none; the number is shown. Of the complaint only
	 * printable text is shown, without words that could be part of a secret; nevertheless no secret belongs into it.
	 *
	 * The same id and purpose must give the same secret, for ever and on every server: entries under a secret that is
	 * lost cannot be verified by anybody.
	 *
	 * Who calls it, and when:
	 * - the postmaster, for the key in force, once when the server starts and all libraries are loaded; not again when
	 *   it restarts its processes after a crash. So does `postgres --single`. Whether the provider has shared memory of
	 *   its own by then is not defined.
	 * - a session or a background worker that needs another key which the server does not hold: a rotation, the
	 *   verification of what was sealed under an earlier key.
	 * All of them are forked from the postmaster. What the function opens (a connection, a session with a token) it
	 * closes again before it returns; it leaves no thread and no child process behind.
	 *
	 * What it may call: the C library, and functions of the server that raise no error. It must not raise one itself:
	 * no ereport(ERROR), no elog(ERROR), no exception of C++. Should an ERROR come all the same, pgseal catches it, and
	 * takes its message for a complaint; but what the function held at that moment stays held, and what it had not yet
	 * wiped stays in memory. FATAL, exit() and the like end the process, which for the postmaster is the server.
	 * ereport(LOG) and below are allowed, without the secret.
	 *
	 * How long it takes: nobody can stop it, in the process in which it runs. While it runs the server does not start,
	 * or the session can be neither cancelled nor terminated: interrupts are held back, and the postmaster has signals
	 * blocked. It has to set a limit of its own to whatever it waits for; pgseal.key_command_timeout does not apply.
	 *
	 * It wipes its own buffers before it returns (explicit_bzero; an ordinary memset may be optimised away).
	 */
	int			(*fetch) (const char *key_id, const char *purpose,
						  unsigned char *secret, size_t capacity, size_t *length,
						  char *complaint, size_t complaint_size);
};

#ifdef __cplusplus
}
#endif

#endif							/* PGSEAL_KEY_PROVIDER_H */
