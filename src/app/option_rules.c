/* Options of a subcommand as a table of rules. */
#include "app/option_rules.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "app/command.h"
#include "base/log.h"
#include "base/text.h"

static enum status take_number(const char *command, const struct option_rule *rule, const char *word)
{
    bool whole = rule->kind == OPTION_WHOLE;
    double value;
    if (text_parse_double(word, &value) && value >= rule->least && value <= rule->most &&
        (!whole || value == floor(value))) {
        *rule->number = value;
        return STATUS_OK;
    }
    log_error("%s: %s %s: give a %snumber in [%.10g, %.10g]", command, rule->name, word, whole ? "whole " : "",
              rule->least, rule->most);
    return STATUS_USAGE;
}

static enum status take_word(const char *command, const struct option_rule *rule, const char *word)
{
    size_t known = 0;
    for (; rule->words[known] != NULL; known++)
        if (strcmp(rule->words[known], word) == 0) {
            *rule->word = rule->words[known];
            return STATUS_OK;
        }
    struct text allowed = {0};
    text_add_list(&allowed, rule->words, known);
    log_error("%s: %s %s: give one of %s", command, rule->name, word, text_view(&allowed));
    text_release(&allowed);
    return STATUS_USAGE;
}

static enum status take_value(const char *command, const struct option_rule *rule, const char *word)
{
    if (rule->kind == OPTION_WORD)
        return take_word(command, rule, word);
    if (rule->kind != OPTION_TEXT)
        return take_number(command, rule, word);
    *rule->word = word;
    return STATUS_OK;
}

void option_list_add(struct option_list *list, const struct option_rule *rules, size_t count)
{
    assert(list->count + count <= OPTION_RULES_MAX);
    for (size_t k = 0; k < count; k++)
        list->rules[list->count++] = rules[k];
}

enum status option_list_take(const struct option_list *list, int count, char **arguments, int *index)
{
    const char *names[OPTION_RULES_MAX];
    for (size_t k = 0; k < list->count; k++) {
        const struct option_rule *rule = &list->rules[k];
        names[k] = rule->name;
        if (rule->kind == OPTION_FLAG) {
            if (strcmp(arguments[*index], rule->name) != 0)
                continue;
            *rule->flag = true;
            return STATUS_OK;
        }
        const char *word = command_option(rule->name, count, arguments, index);
        if (*index < 0)
            return STATUS_USAGE;
        if (word != NULL)
            return take_value(list->command, rule, word);
    }
    return command_unknown(list->command, arguments[*index], names, list->count);
}

/* "--rate R" */
static void add_option(struct text *text, const struct option_rule *rule)
{
    bool counts = rule->kind == OPTION_NUMBER || rule->kind == OPTION_WHOLE;
    const char *value = rule->value != NULL ? rule->value : counts ? "N" : NULL;
    text_add(text, "%s", rule->name);
    if (value != NULL)
        text_add(text, " %s", value);
}

/* What the option takes, as option_list_take will check it. */
static void add_allowed(struct text *text, const struct option_rule *rule)
{
    size_t known = 0;
    if (rule->kind == OPTION_NUMBER || rule->kind == OPTION_WHOLE)
        text_add(text, " (%.10g to %.10g)", rule->least, rule->most);
    if (rule->kind != OPTION_WORD)
        return;
    while (rule->words[known] != NULL)
        known++;
    text_add(text, " (");
    text_add_list(text, rule->words, known);
    text_add(text, ")");
}

/* "    --rate R          the sense, in lines that begin below each other". */
static void print_entry(FILE *out, const char *option, const char *sense)
{
    const int begin = 22, width = 100;
    int column = fprintf(out, "    %s", option);
    if (column > begin - 2)
        column = fprintf(out, "\n") - 1;
    for (bool first = true; *sense != '\0'; first = false) {
        int length = (int)strcspn(sense, " ");
        if (!first && column + 1 + length > width)
            column = fprintf(out, "\n") - 1;
        column += fprintf(out, "%*s%.*s", column < begin ? begin - column : 1, "", length, sense);
        sense += length;
        sense += strspn(sense, " ");
    }
    fprintf(out, "\n");
}

void option_list_describe(const struct option_list *list, const struct option_manual *manual, FILE *out)
{
    fprintf(out, "%s\n%s\nOptions\n", manual->usage, manual->about);
    for (size_t k = 0; k < list->count; k++) {
        struct text option = {0}, sense = {0};
        text_add(&sense, "%s", list->rules[k].meaning);
        add_option(&option, &list->rules[k]);
        add_allowed(&sense, &list->rules[k]);
        print_entry(out, text_view(&option), text_view(&sense));
        text_release(&option);
        text_release(&sense);
    }
    print_entry(out, "--log LEVEL", "messages shown: error, warning, info or debug; of every command");
    print_entry(out, "-h, --help", "this text");
    if (manual->examples[0] != '\0')
        fprintf(out, "\nExamples\n%s", manual->examples);
}
