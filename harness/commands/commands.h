/* The subcommands. Each gets its own arguments, argv[0] being its name, and returns an exit code (harness/exit_code.h).
 */
#ifndef HARNESS_COMMANDS_COMMANDS_H
#define HARNESS_COMMANDS_COMMANDS_H

int command_run(int argc, char **argv);
int command_list(int argc, char **argv);
int command_show(int argc, char **argv);
int command_decode(int argc, char **argv);
int command_compare(int argc, char **argv);
int command_report(int argc, char **argv);
int command_oracle(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_serve(int argc, char **argv);

#endif
