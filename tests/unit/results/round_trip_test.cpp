// What is written is read back, and equal content gives equal files.

#include <doctest/doctest.h>

#include <cmath>

#include "../error_message.h"
#include "../temporary_folder.h"
#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/text.h"
#include "sample_file.h"

using namespace muster;
using namespace muster::test;

namespace {

/// Equality in which NaN equals NaN.
bool same(const Column& a, const Column& b) {
    if (a.name != b.name || a.description != b.description || a.width != b.width) return false;
    const auto* x = std::get_if<std::vector<double>>(&a.data);
    const auto* y = std::get_if<std::vector<double>>(&b.data);
    if (x == nullptr || y == nullptr) return a.data == b.data;
    if (x->size() != y->size()) return false;
    for (std::size_t i = 0; i < x->size(); ++i) {
        const double p = (*x)[i], q = (*y)[i];
        if (!(p == q || (std::isnan(p) && std::isnan(q)))) return false;
    }
    return true;
}

void check_columns(const std::vector<Column>& got, const std::vector<Column>& expected) {
    REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        CAPTURE(expected[i].name);
        CHECK(same(got[i], expected[i]));
    }
}

}  // namespace

TEST_CASE("everything comes back, columns in the order of writing") {
    const TemporaryFolder folder;
    write_sample_file(folder / "out.h5");
    CHECK(folder.content() == std::vector<std::string>{"out.h5"});

    const ResultReader reader(folder / "out.h5");
    check_columns(reader.read_columns("/tasks/mmlu/samples"), sample_columns());
    CHECK(same(reader.read_column("/tasks/mmlu/samples", "acc"), sample_columns()[1]));
    CHECK(reader.read_summary("/summary") == sample_summary());
    CHECK(reader.read_text("/run/config") == "{\n  \"seed\": 1234\n}\n");
    CHECK(reader.members("/") == std::vector<std::string>{"run", "summary", "tasks"});
    CHECK(reader.members("/tasks") == std::vector<std::string>{"mmlu"});
    CHECK(reader.members("/groups").empty());
    CHECK(reader.exists("/tasks/mmlu/samples/acc"));
    CHECK_FALSE(reader.exists("/tasks/mmlu/samples/acc/deeper"));
    CHECK_FALSE(reader.exists("/tasks/arc"));
    CHECK(reader.read_string_attribute("/tasks/mmlu", "output_type") == "multiple_choice");
    CHECK(reader.read_string_attribute("/tasks/mmlu", "description") == "a task");
    CHECK(reader.read_integer_attribute("/tasks/mmlu", "num_fewshot") == 5);
    CHECK(reader.read_real_attribute("/tasks/mmlu", "weight") == 0.5);
    CHECK_FALSE(reader.read_real_attribute("/tasks/mmlu", "height").has_value());
    CHECK(reader.read_integer_attribute("/", "schema_version") == kResultSchemaVersion);
}

TEST_CASE("two files of equal content are equal bytes") {
    const TemporaryFolder folder;
    write_sample_file(folder / "a.h5");
    write_sample_file(folder / "b.h5");
    CHECK(read_file(folder / "a.h5") == read_file(folder / "b.h5"));
}

TEST_CASE("columns without rows") {
    const TemporaryFolder folder;
    const std::vector<Column> columns{{"id", "", std::vector<std::int64_t>{}, 0},
                                      {"text", "", std::vector<std::string>{}, 3},
                                      {"p", "", std::vector<double>{}, 2}};
    {
        ResultWriter writer(folder / "out.h5", false);
        writer.write_columns("/empty", columns);
        writer.write_columns("/nothing", {});
        writer.write_summary("/summary", {});
        writer.write_text("/run/config", "");
        writer.commit();
    }
    const ResultReader reader(folder / "out.h5");
    check_columns(reader.read_columns("/empty"), columns);
    CHECK(reader.read_columns("/nothing").empty());
    CHECK(reader.read_summary("/summary").empty());
    CHECK(reader.read_text("/run/config").empty());
}

TEST_CASE("columns of many chunks, and texts larger than a chunk") {
    const TemporaryFolder folder;
    std::vector<std::int64_t> ids(300000);
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int64_t>(i * i);
    std::vector<std::string> texts(1000);
    for (std::size_t i = 0; i < texts.size(); ++i) texts[i] = std::string(i * 3, 'a');
    texts[5] = std::string(3 << 20, 'b');
    const std::vector<Column> numbers{{"id", "", ids, 3}};
    const std::vector<Column> strings{{"text", "", texts, 0}};
    {
        ResultWriter writer(folder / "out.h5", false);
        writer.write_columns("/numbers", numbers);
        writer.write_columns("/strings", strings);
        writer.commit();
    }
    const ResultReader reader(folder / "out.h5");
    check_columns(reader.read_columns("/numbers"), numbers);
    check_columns(reader.read_columns("/strings"), strings);
}

TEST_CASE("text that HDF5 cannot hold is replaced, and the checksum fits what is stored") {
    const TemporaryFolder folder;
    const std::string with_null("a\0b\0", 4), broken = "caf\xe9!";
    {
        ResultWriter writer(folder / "out.h5", false);
        writer.write_columns("/t", {{"text", "", std::vector<std::string>{with_null, broken}, 0}});
        writer.write_text("/u", with_null);
        writer.write_attribute("/t", "a", with_null);
        writer.write_summary("/summary", {{broken, "m", "f", 1, 0, 1, false, false}});
        writer.commit();
    }
    const ResultReader reader(folder / "out.h5");
    const std::vector<std::string> expected{
        "a\xe2\x90\x80"
        "b\xe2\x90\x80",
        "caf\xef\xbf\xbd!"};
    CHECK(std::get<std::vector<std::string>>(reader.read_column("/t", "text").data) == expected);
    CHECK(reader.read_text("/u") == expected[0]);
    CHECK(reader.read_string_attribute("/t", "a") == expected[0]);
    CHECK(reader.read_summary("/summary")[0].task == expected[1]);
    CHECK(storable_text("plain \xc3\xbc") == "plain \xc3\xbc");
    CHECK(is_storable_text("plain \xc3\xbc"));
    CHECK_FALSE(is_storable_text(with_null));
    CHECK_FALSE(is_storable_text(broken));
}

TEST_CASE("attributes are replaced, also by another type, and may be long") {
    const TemporaryFolder folder;
    const std::string long_text(200000, 'x');
    {
        ResultWriter writer(folder / "out.h5", false);
        writer.write_attribute("/", "a", std::int64_t{1});
        writer.write_attribute("/", "a", long_text);
        for (int i = 0; i < 100; ++i) {
            writer.write_attribute("/", cat("n", i), std::int64_t{i});
        }
        writer.commit();
    }
    const ResultReader reader(folder / "out.h5");
    CHECK(reader.read_string_attribute("/", "a") == long_text);
    CHECK(reader.read_integer_attribute("/", "n99") == 99);
    CHECK(contains(error_message<UserError>([&] { reader.read_integer_attribute("/", "a"); }),
                   "out.h5: /@a: expected one integer"));
}
