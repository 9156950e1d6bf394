/* Edge lists: what is read, from whichever program, and what is wrong with others. */
#include "graph_fixture.h"

static char path[] = "/tmp/graph_test_XXXXXX"; /* the edge list under test */

static void write_file(const char *content, size_t bytes)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, bytes, file), bytes);
    fclose(file);
}

static struct graph_params file_params(const char *content, int worker_count)
{
    write_file(content, strlen(content));
    struct graph_params params = params_of("file", worker_count);
    params.file = path;
    return params;
}

static void edge_list_without_rates(void **state)
{
    (void)state;
    struct graph_params params = file_params("# a square\n2 1\n\n 0\t1 # one side\r\n3 0\n2 3", 0);
    struct graph *graph = create(params);
    assert_int_equal(graph->worker_count, 4);
    assert_string_equal(graph->name, path);
    assert_int_equal(graph->edge_count, 4);
    assert_sound(graph, 1.5);
    graph_destroy(graph);
}

static void rates_of_an_edge_list_are_multiplied(void **state)
{
    (void)state;
    struct graph *graph = create(file_params("0 1 0.25\n1 2 3e0\n", 3));
    assert_int_equal(graph->edge_count, 2);
    assert_true(graph->rates_given);
    assert_true(graph->edges[0].rate == 1.5 * 0.25 && graph->edges[1].rate == 1.5 * 3);
    assert_true(graph_mean_rate(graph) == 2 * 1.5 * 3.25 / 3);
    assert_neighbors_consistent(graph);
    graph_destroy(graph);
    graph = create(params_of("ring", 4));
    assert_true(!graph->rates_given && graph_mean_rate(graph) == 1.5);
    graph_destroy(graph);
}

/* One square, 0-1-2-3, with rates (rated: 0.5 for each edge) or without, as other programs write it. */
static void squares_of_other_programs_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        bool rated;
    } cases[] = {
        {"0 1 {}\n1 2 {}\n2 3 {}\n3 0 {}\n", false}, /* networkx.write_edgelist */
        {"0 1 {'weight': 0.5}\n1 2 {'weight': 0.5}\n2 3 {'color': '#f00', 'weight': 0.5}\n3 0 {'weight':0.5 }\n", true},
        {"0 1 {'weight': np.float64(0.5)}\n1 2 {\"rate\": 0.5}\n2 3 {\"weight\": 5e-1}\n3 0 {'weight': .5}\r\n", true},
        {"0,1\n1,2\n2,3\n3,0\n", false},
        {"0, 1, 0.5\r\n1;2;.5\r\n2\t3\t0.5\r\n3 0 0.5", true},
        {"source,target,weight\n0,1,0.5\n1,2,0.5\n2,3,0.5\n3,0,0.5\n", true},
        {"# by hand\nfrom to\n0 1\n1 2\n2 3 # closes\n3 0\n", false},
        {"% Pajek\n0 1 % one\n1 2\n2 3\n3 0\n", false},
        {"\xef\xbb\xbf"
         "0 1\n1 2\n2 3\n3 0\n",
         false},
        {"\xef\xbb\xbf"
         "\"a\";\"b\"\r\n0;1\r\n1;2\r\n2;3\r\n3;0\r\n",
         false},
        {"0 1\n1 0\n1 2\n2 1\n2 3\n3 2\n3 0\n0 3\n", false},
        {"0 1 .5\n1 0 0.50\n1 2 .5\n2 3 .5\n0 3 .5\n3 0 .5\n", true},
        {"%%MatrixMarket matrix coordinate pattern symmetric\n% made by hand\n4 4 4\n2 1\n3 2\n4 3\n4 1\n", false},
        {"%%MatrixMarket matrix coordinate real symmetric\n4 4 4\n2 1 0.5\n3 2 .5\n4 3 5e-1\n4 1 0.5\n", true},
        {"%%matrixmarket MATRIX Coordinate Real General\n%\n4 4 8\n2 1 .5\n1 2 .5\n3 2 .5\n2 3 .5\n4 3 .5\n3 4 .5\n4 1 "
         ".5\n1 4 .5\n",
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct graph_params params = file_params(cases[i].content, 0);
        params.rate = 1;
        struct graph *graph = create(params);
        assert_int_equal(graph->worker_count, 4);
        assert_int_equal(graph->edge_count, 4);
        static const int ends[4][2] = {{0, 1}, {0, 3}, {1, 2}, {2, 3}};
        for (int e = 0; e < 4; e++) {
            assert_true(graph->edges[e].a == ends[e][0] && graph->edges[e].b == ends[e][1]);
            assert_true(graph->edges[e].rate == 0.5);
        }
        assert_true(graph->rates_given == cases[i].rated);
        graph_destroy(graph);
    }
    struct graph *graph =
        create(file_params("%%MatrixMarket matrix coordinate integer general\n3 3 2\n1 2 2\n3 2 4\n", 3));
    assert_true(graph->edges[0].rate == 3 && graph->edges[1].rate == 6);
    graph_destroy(graph);
}

static void malformed_edge_lists_name_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        int worker_count, line; /* line 0: of the file as a whole */
        const char *part;
    } cases[] = {
        {"0 1\n1 1\n", 2, 2, "self-loop"},
        {"0 1\n1 2\n0 1\n", 3, 3, "duplicate: the edge of 0 and 1 stands on line 1 already"},
        {"0 1\n1 2\n\n2 1\n1 2\n", 3, 5, "duplicate: the edge of 1 and 2 stands on line 2 already"},
        {"0 1 1\n1 2 1\n2 1 3\n", 3, 3, "has rate 3 here, and 1 the other way round on line 2"},
        {"2 1 3\n1 2 1\n0 1 3\n", 3, 2, "has rate 1 here, and 3 the other way round on line 1"},
        {"1 2\n2 3\n3 1\n", 0, 1, "the smallest number is 1 here, and workers are numbered from 0; subtract 1"},
        {"# five\n6 5\n7 6\n", 3, 2, "the smallest number is 5 here"},
        {"0 -1\n", 2, 1, "worker -1 does not exist"},
        {"0 16777215\n", 0, 1, "worker 16777215 does not exist"},
        {"0 1\n1 5\n5 7\n", 4, 2, "worker 5 does not exist: this run has 4 workers, numbered from 0; the file needs 8"},
        {"0 1\n1 2\n", 4, 0, "worker 3 of this run's 4 would meet nobody; start 3 workers"},
        {"0 1\n1 2\n", 9, 0, "workers from 3 of this run's 9 would meet nobody"},
        {"0 1\n2\n", 3, 2, "worker 2 has no second number"},
        {"0 one\n", 2, 1, "'one' is not a worker's number"},
        {"0:1\n", 2, 1, "'0:1' is not a worker's number"},
        {"0 1\na b\n", 2, 2, "'a' is not a worker's number"},
        {"a b\nc d\n", 2, 2, "'c' is not a worker's number"},
        {"0 1 {'weight': 0.5\n", 2, 1, "is not a dictionary that ends the line"},
        {"0 1 {} 2\n", 2, 1, "is not a dictionary that ends the line"},
        {"0 1 {'weight': -1}\n", 2, 1, "rate -1"},
        {"0 1 {'weight': 'x'}\n", 2, 1, "''x'' is not a rate"},
        {"0 1 {'weight': 1}\n1 2 {}\n", 3, 2, "this edge has no rate"},
        {"%%MatrixMarket matrix array real general\n", 2, 1, "this MatrixMarket file is 'matrix array real general'"},
        {"%%MatrixMarket matrix coordinate complex hermitian\n", 2, 1, "a graph is 'matrix coordinate', then pattern"},
        {"%%MatrixMarket\n", 2, 1, "a graph is 'matrix coordinate'"},
        {"%%MatrixMarket matrix coordinate pattern general\n3 4 1\n1 2\n", 2, 2, "not the sizes of a square matrix"},
        {"%%MatrixMarket matrix coordinate pattern general\n2 2 2\n1 2\n", 2, 0,
         "1 entries, and its line of sizes says 2"},
        {"%%MatrixMarket matrix coordinate pattern general\n2 2 1\n0 1\n", 2, 3,
         "worker 0 does not exist; workers are "
         "numbered from 1"},
        {"%%MatrixMarket matrix coordinate pattern general\n2 2 1\n1 2 3\n", 2, 3,
         "an entry of this matrix is 'row col"},
        {"%%MatrixMarket matrix coordinate real general\n2 2 1\n1 2\n", 2, 3, "'row column value'"},
        {"%%MatrixMarket matrix coordinate real general\n2 2 2\n1 2 1\n2 1 2\n", 2, 4,
         "the edge of 1 and 2 has rate 2"},
        {"%%MatrixMarket matrix coordinate pattern general\n4 4 2\n1 2\n3 2\n", 4, 0,
         "its 2 parts are {0 1 2} and {3}"},
        {"0 1.5\n", 2, 1, "'1.5' is not a worker's number"},
        {"0 1 fast\n", 2, 1, "'fast' is not a rate"},
        {"0 1 2 3\n", 2, 1, "'3' is too much"},
        {"0 1 0\n", 2, 1, "rate 0: it must be a finite number greater than 0"},
        {"0 1 -0.5\n", 2, 1, "rate -0.5"},
        {"0 1 inf\n", 2, 1, "rate inf"},
        {"0 1 nan\n", 2, 1, "rate nan"},
        {"0 1 1.0\n1 2\n", 3, 2, "this edge has no rate, but that of line 1 has one"},
        {"0 1\n1 2 1.0\n", 3, 2, "this edge has a rate, but that of line 1 has none"},
        {"", 0, 0, "the edge list is empty"},
        {"# nothing\n\n", 3, 0, "the edge list is empty"},
        {"0 1\n1 2\n3 4\n", 5, 0, "its 2 parts are {0 1 2} and {3 4}"},
        {"0 2\n", 0, 0, "its 2 parts are {0 2} and {1}"},
        {"0 1\n2 3\n4 5\n6 7\n8 9\n10 11\n", 0, 0, "its 6 parts are {0 1}, {2 3}, {4 5}, {6 7} and 2 more"},
        {"0 1\n1 2\n2 3\n3 4\n4 5\n5 6\n6 7\n7 8\n9 10\n", 0, 0, "{0 1 2 3 4 5 6 7 ...} and {9 10}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char place[64];
        struct graph_params params = file_params(cases[i].content, cases[i].worker_count);
        snprintf(place, sizeof place, cases[i].line > 0 ? "%s:%d: " : "%s: ", path, cases[i].line);
        assert_refused(&params, place);
        assert_refused(&params, cases[i].part);
    }
}

static void unreadable_edge_lists_are_refused(void **state)
{
    (void)state;
    struct graph_params params = params_of("file", 0);
    assert_refused(&params, "graph.file is not set");
    params.file = "/nonexistent/edges.txt";
    assert_refused(&params, "/nonexistent/edges.txt: cannot be opened: No such file");
    params.file = "/tmp";
    assert_refused(&params, "/tmp: cannot be read: Is a directory");
    write_file("0 1\n\0 2\n", 8);
    params.file = path;
    assert_refused(&params, ":2: a zero byte");
}

static int make_path(void **state)
{
    (void)state;
    int descriptor = mkstemp(path);
    return descriptor < 0 ? -1 : close(descriptor);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edge_list_without_rates),
        cmocka_unit_test(rates_of_an_edge_list_are_multiplied),
        cmocka_unit_test(squares_of_other_programs_are_read),
        cmocka_unit_test(malformed_edge_lists_name_file_and_line),
        cmocka_unit_test(unreadable_edge_lists_are_refused),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
