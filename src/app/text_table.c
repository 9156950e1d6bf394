/* Tables of texts. */
#include "app/text_table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

const char *const table_format_names[] = {"markdown", "csv", "latex", NULL};

enum table_format table_format_of(const char *name)
{
    int format = TABLE_MARKDOWN;
    while (strcmp(table_format_names[format], name) != 0) {
        format++;
        assert(table_format_names[format] != NULL); /* the options let no other word pass */
    }
    return (enum table_format)format;
}

void text_table_add(struct text_table *table, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    size_t length = (size_t)vsnprintf(NULL, 0, format, arguments);
    char *cell = memory_zalloc(length + 1, 1);
    vsnprintf(cell, length + 1, format, again);
    va_end(again);
    va_end(arguments);
    table->cells = memory_realloc(table->cells, table->cell_count + 1, sizeof table->cells[0]);
    table->cells[table->cell_count++] = cell;
}

void text_table_release(struct text_table *table)
{
    for (size_t k = 0; k < table->cell_count; k++)
        free(table->cells[k]);
    free(table->cells);
    *table = (struct text_table){0};
}

static const char *cell_of(const struct text_table *table, size_t row, size_t column)
{
    return table->cells[row * table->column_count + column];
}

/* Columns on the screen: bytes of UTF-8 that begin a character, and the backslash of each "|". */
static size_t width_of(const char *cell)
{
    size_t width = 0;
    for (; *cell != '\0'; cell++)
        width += ((unsigned char)*cell & 0xC0) != 0x80 ? 1 + (*cell == '|') : 0;
    return width;
}

static size_t column_width(const struct text_table *table, size_t column)
{
    size_t most = 3;
    for (size_t row = 0; row < table->cell_count / table->column_count; row++) {
        size_t width = width_of(cell_of(table, row, column));
        most = width > most ? width : most;
    }
    return most;
}

static void repeat(char sign, size_t count, FILE *out)
{
    while (count-- > 0)
        fputc(sign, out);
}

static void print_markdown_cell(const char *cell, size_t width, bool left, FILE *out)
{
    size_t space = width - width_of(cell);
    repeat(' ', left ? 0 : space, out);
    for (; *cell != '\0'; cell++)
        fprintf(out, "%s%c", *cell == '|' ? "\\" : "", *cell == '\n' ? ' ' : *cell);
    repeat(' ', left ? space : 0, out);
}

static void print_markdown_rule(const struct text_table *table, FILE *out)
{
    for (size_t column = 0; column < table->column_count; column++) {
        fputs("|", out);
        repeat('-', column_width(table, column) + 1, out);
        fputc(column < table->label_count ? '-' : ':', out);
    }
    fputs("|\n", out);
}

static void print_markdown(const struct text_table *table, FILE *out)
{
    for (size_t row = 0; row < table->cell_count / table->column_count; row++) {
        for (size_t column = 0; column < table->column_count; column++) {
            fputs("| ", out);
            print_markdown_cell(cell_of(table, row, column), column_width(table, column), column < table->label_count,
                                out);
            fputs(" ", out);
        }
        fputs("|\n", out);
        if (row == 0)
            print_markdown_rule(table, out);
    }
}

/* RFC 4180. */
static void print_csv_cell(const char *cell, FILE *out)
{
    if (strpbrk(cell, ",\"\r\n") == NULL) {
        fputs(cell, out);
        return;
    }
    fputc('"', out);
    for (; *cell != '\0'; cell++)
        fprintf(out, "%s%c", *cell == '"' ? "\"" : "", *cell);
    fputc('"', out);
}

static void print_csv(const struct text_table *table, FILE *out)
{
    for (size_t k = 0; k < table->cell_count; k++) {
        print_csv_cell(table->cells[k], out);
        fputs((k + 1) % table->column_count == 0 ? "\n" : ",", out);
    }
}

static void print_latex_cell(const char *cell, FILE *out)
{
    static const struct {
        const char *text, *latex;
    } signs[] = {{"±", "$\\pm$"},
                 {"–", "--"},
                 {"χ", "$\\chi$"},
                 {"\\", "\\textbackslash{}"},
                 {"~", "\\textasciitilde{}"},
                 {"^", "\\textasciicircum{}"},
                 {"_", "\\_"},
                 {"%", "\\%"},
                 {"&", "\\&"},
                 {"#", "\\#"},
                 {"$", "\\$"},
                 {"{", "\\{"},
                 {"}", "\\}"}};
    while (*cell != '\0') {
        size_t k = 0, count = sizeof signs / sizeof signs[0];
        while (k < count && strncmp(cell, signs[k].text, strlen(signs[k].text)) != 0)
            k++;
        if (k < count)
            fputs(signs[k].latex, out);
        else
            fputc(*cell, out);
        cell += k < count ? strlen(signs[k].text) : 1;
    }
}

static void print_latex(const struct text_table *table, FILE *out)
{
    size_t rows = table->cell_count / table->column_count;
    fputs("% \\usepackage{booktabs}\n\\begin{tabular}{", out);
    for (size_t column = 0; column < table->column_count; column++)
        fputc(column < table->label_count ? 'l' : 'r', out);
    fputs("}\n\\toprule\n", out);
    for (size_t row = 0; row < rows; row++) {
        for (size_t column = 0; column < table->column_count; column++) {
            fputs(column > 0 ? " & " : "", out);
            print_latex_cell(cell_of(table, row, column), out);
        }
        fprintf(out, " \\\\\n%s", row == 0 ? "\\midrule\n" : "");
    }
    fputs("\\bottomrule\n\\end{tabular}\n", out);
}

void text_table_print(const struct text_table *table, enum table_format format, FILE *out)
{
    assert(table->cell_count % table->column_count == 0);
    if (format == TABLE_CSV)
        print_csv(table, out);
    else if (format == TABLE_LATEX)
        print_latex(table, out);
    else
        print_markdown(table, out);
}
