#include "token_trie.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "muster/engine/engine.h"
#include "numbers.h"
#include "page_pool.h"

using namespace muster;
using namespace muster::test;

namespace {

using Tokens = std::vector<std::int32_t>;

Request score(Tokens tokens, std::int32_t first_scored) {
    Request request;
    request.tokens = std::move(tokens);
    request.first_scored = first_scored;
    return request;
}

Request generate(Tokens tokens, std::int32_t max_new_tokens) {
    Request request;
    request.kind = Request::Kind::generate;
    request.tokens = std::move(tokens);
    request.max_new_tokens = max_new_tokens;
    return request;
}

/// Requests over few tokens, so that they share a lot.
std::vector<Request> random_requests(Numbers& numbers, int count) {
    std::vector<Request> requests;
    while (static_cast<int>(requests.size()) < count) {
        Tokens tokens;
        if (!requests.empty() && numbers.below(3) > 0) {
            const auto& other = requests[static_cast<std::size_t>(numbers.below(
                                             static_cast<std::int32_t>(requests.size())))]
                                    .tokens;
            const auto size = static_cast<std::int32_t>(other.size());
            tokens.assign(other.begin(), other.begin() + numbers.below(size + 1));
        }
        const auto more = numbers.tokens(2 + numbers.below(40), 3);
        tokens.insert(tokens.end(), more.begin(), more.end());
        const auto size = static_cast<std::int32_t>(tokens.size());
        if (numbers.below(3) == 0)
            requests.push_back(generate(tokens, numbers.below(30)));
        else
            requests.push_back(score(tokens, 1 + numbers.below(size - 1)));
    }
    return requests;
}

/// What rows are asked for: the tokens up to a row → its targets; generations ask for none.
using Rows = std::map<Tokens, std::set<std::int32_t>>;

Rows rows_of(const std::vector<Request>& requests) {
    Rows rows;
    for (const Request& request : requests) {
        if (!is_fed(request)) continue;
        const auto fed = fed_tokens(request);
        if (request.kind == Request::Kind::generate) rows[{fed.begin(), fed.end()}];
        if (request.kind == Request::Kind::generate) continue;
        for (std::size_t row = static_cast<std::size_t>(request.first_scored) - 1; row < fed.size();
             ++row) {
            const auto end = request.tokens.begin() + static_cast<std::ptrdiff_t>(row) + 1;
            rows[{request.tokens.begin(), end}].insert(*end);
        }
    }
    return rows;
}

/// The same as the trie says it; checks that runs are what their path says.
Rows rows_of(const std::vector<Request>& requests, const TokenTrie& trie) {
    Rows rows;
    for (const TrieNode& node : trie.nodes) {
        const auto tokens = requests[node.source].tokens.begin();
        for (std::int32_t row = node.first_output; row < node.end; ++row) {
            auto& targets = rows[{tokens, tokens + row + 1}];
            if (row < node.end - 1)
                targets.insert(tokens[row + 1]);
            else
                targets.insert(node.last_targets.begin(), node.last_targets.end());
        }
        if (node.parent < 0) continue;
        const TrieNode& parent = trie.nodes[static_cast<std::size_t>(node.parent)];
        CHECK(parent.end == node.begin);
        CHECK(std::equal(tokens, tokens + node.begin, requests[parent.source].tokens.begin()));
    }
    return rows;
}

std::size_t distinct_prefixes(const std::vector<Request>& requests) {
    std::set<Tokens> prefixes;
    for (const Request& request : requests) {
        if (!is_fed(request)) continue;
        const auto fed = fed_tokens(request);
        for (std::size_t size = 1; size <= fed.size(); ++size)
            prefixes.emplace(fed.begin(), fed.begin() + static_cast<std::ptrdiff_t>(size));
    }
    return prefixes.size();
}

std::size_t num_tokens(const TokenTrie& trie) {
    std::size_t tokens = 0;
    for (const TrieNode& node : trie.nodes)
        tokens += static_cast<std::size_t>(node.end - node.begin);
    return tokens;
}

/// Every request is in the trie once, at a node whose path has exactly its input.
void check_ends(const std::vector<Request>& requests, const TokenTrie& trie) {
    std::map<std::size_t, int> found;
    for (const TrieNode& node : trie.nodes) {
        const auto tokens = requests[node.source].tokens.begin();
        std::vector<std::size_t> here = node.scores;
        if (node.generation) here.push_back(*node.generation);
        for (const std::size_t request : here) {
            const auto fed = fed_tokens(requests[request]);
            CHECK(std::equal(fed.begin(), fed.end(), tokens, tokens + node.end));
            CHECK(node.length >= kv_tokens_needed(requests[request]));
            ++found[request];
        }
        const std::int64_t new_tokens =
            node.generation ? requests[*node.generation].max_new_tokens - 1 : 0;
        CHECK(node.at_most == node.end + new_tokens);
    }
    for (std::size_t i = 0; i < requests.size(); ++i)
        CHECK(found[i] == (is_fed(requests[i]) ? 1 : 0));
}

void check_order(const TokenTrie& trie) {
    std::vector<std::int32_t> path;
    for (std::size_t id = 0; id < trie.nodes.size(); ++id) {
        while (!path.empty() && path.back() != trie.nodes[id].parent) path.pop_back();
        CHECK((path.empty() ? -1 : path.back()) == trie.nodes[id].parent);
        path.push_back(static_cast<std::int32_t>(id));
    }
}

std::int64_t pages_of_longest_path(const TokenTrie& trie) {
    std::vector<std::int64_t> pages;
    for (const TrieNode& node : trie.nodes) {
        const std::int64_t before =
            node.parent < 0 ? 0 : pages[static_cast<std::size_t>(node.parent)];
        pages.push_back(before + own_pages(node.begin, node.at_most));
    }
    return pages.empty() ? 0 : *std::max_element(pages.begin(), pages.end());
}

}  // namespace

TEST_CASE("a prompt and its choices share all but what differs") {
    const std::vector<Request> requests = {
        score({1, 2, 3, 4, 5}, 3),     // 4 and 5 are scored behind 1 2 3
        score({1, 2, 3, 7, 8}, 3),     // 7 and 8
        score({1, 2, 3, 4, 6, 9}, 3),  // 4, 6 and 9
        score({1, 2, 3, 7}, 3),       generate({1, 2, 3}, 5),
    };
    const TokenTrie trie = make_trie(requests, {.num_pages = 100});
    REQUIRE(trie.nodes.size() == 5);
    const TrieNode& root = trie.nodes[0];
    CHECK(root.begin == 0);
    CHECK(root.end == 3);
    CHECK(root.first_output == 2);
    CHECK(root.last_targets == Tokens{4, 7});
    CHECK(root.scores == std::vector<std::size_t>{3});
    CHECK(root.at_most == 3);
    CHECK(!root.generation);
    // 1 2 3 4, then 6 behind it; 1 2 3 7; the generation, which is the last request.
    CHECK(trie.nodes[1].end == 4);
    CHECK(trie.nodes[1].last_targets == Tokens{5, 6});
    CHECK(trie.nodes[2].parent == 1);
    CHECK(trie.nodes[2].last_targets == Tokens{9});
    CHECK(trie.nodes[3].last_targets == Tokens{8});
    CHECK(trie.nodes[4].generation == 4u);
    CHECK(trie.nodes[4].begin == 3);
    CHECK(trie.nodes[4].end == 3);
    CHECK(trie.nodes[4].at_most == 7);
    CHECK(trie.last == 0);
}

TEST_CASE("every distinct prefix is a row once, and is asked for what the requests ask for") {
    Numbers numbers(3);
    for (int round = 0; round < 60; ++round) {
        CAPTURE(round);
        const auto requests = random_requests(numbers, 1 + numbers.below(60));
        const TokenTrie trie = make_trie(requests, {.num_pages = 1000});
        CHECK(num_tokens(trie) == distinct_prefixes(requests));
        CHECK(rows_of(requests, trie) == rows_of(requests));
        check_ends(requests, trie);
        check_order(trie);
    }
}

TEST_CASE("without sharing every request is a root of its own") {
    Numbers numbers(4);
    const auto requests = random_requests(numbers, 50);
    const TokenTrie trie = make_trie(requests, {.share = false, .num_pages = 1000});
    std::size_t tokens = 0, fed = 0;
    for (const Request& request : requests) {
        if (!is_fed(request)) continue;
        tokens += fed_tokens(request).size();
        ++fed;
    }
    CHECK(num_tokens(trie) == tokens);
    CHECK(trie.nodes.size() == fed);
    CHECK(rows_of(requests, trie) == rows_of(requests));
    check_ends(requests, trie);
    for (std::size_t i = 2; i < trie.nodes.size(); ++i)
        CHECK(trie.nodes[i - 1].at_most <= trie.nodes[i - 2].at_most);  // but for the last request
}

TEST_CASE("requests of different length share nothing where the length decides") {
    const Tokens tokens(20, 1);
    std::vector<Request> requests;
    for (const std::ptrdiff_t size : {10, 10, 15, 20, 15})
        requests.push_back(score({tokens.begin(), tokens.begin() + size}, 1));
    requests.push_back(generate({1, 1, 1, 1}, 5));  // 9 tokens at most, as the first two
    const TokenTrie trie = make_trie(requests, {.by_length = true, .num_pages = 100});
    CHECK(num_tokens(trie) == 9 + 14 + 19);
    for (const TrieNode& node : trie.nodes) {
        for (const std::size_t request : node.scores)
            CHECK(node.length == kv_tokens_needed(requests[request]));
        if (node.generation) CHECK(node.length == 9);
    }
    check_ends(requests, trie);
}

TEST_CASE("where sharing does not fit, branches have their tokens each") {
    Numbers numbers(8);
    int given_up = 0;
    for (int round = 0; round < 60; ++round) {
        CAPTURE(round);
        const auto requests = random_requests(numbers, 30);
        std::int64_t longest = 0;
        for (const Request& request : requests)
            longest = std::max(longest, pages_for_tokens(kv_tokens_needed(request)));
        const auto shared = num_tokens(make_trie(requests, {.num_pages = 1000}));
        for (const std::int64_t pages : {longest, longest + 1}) {
            const TokenTrie trie = make_trie(requests, {.num_pages = pages});
            CHECK(pages_of_longest_path(trie) <= pages);
            CHECK(rows_of(requests, trie) == rows_of(requests));
            check_ends(requests, trie);
            check_order(trie);
            given_up += num_tokens(trie) > shared;
        }
    }
    CHECK(given_up > 10);
}

TEST_CASE("what is known is found on one path, up to the first row that is asked for") {
    const std::vector<Request> requests = {score({1, 2, 3, 4, 5, 6}, 5), score({1, 2, 3, 9, 9}, 3),
                                           score({7, 7, 7}, 2)};
    const auto known = [&](const Tokens& tokens) {
        const TokenTrie trie = make_trie(requests, {.num_pages = 100, .known = {tokens, 0}});
        std::map<std::pair<int, int>, int> known_of_run;
        for (const TrieNode& node : trie.nodes) {
            if (node.known > node.begin) known_of_run[{node.begin, node.end}] = node.known;
        }
        return known_of_run;
    };
    using Found = std::map<std::pair<int, int>, int>;
    CHECK(known({}).empty());
    CHECK(known({2, 2}).empty());
    CHECK(known({1, 2}) == Found{{{0, 3}, 2}});
    // The last row of 1 2 3 is scored; what follows it is known all the same.
    CHECK(known({1, 2, 3, 4, 5, 6}) == Found{{{0, 3}, 2}, {{3, 5}, 4}});
    CHECK(known({7, 7, 7, 7}) == Found{{{0, 2}, 1}});
    // Of another length it is not known where that decides.
    const Tokens tokens = {1, 2, 3};
    for (const std::int64_t length : {5, 4}) {
        const TokenTrie trie = make_trie(
            {requests[0]}, {.by_length = true, .num_pages = 100, .known = {tokens, length}});
        CHECK(trie.nodes.at(0).known == (length == 5 ? 3 : 0));
    }
}

TEST_CASE("the known path comes first and the last request's path last") {
    std::vector<Request> requests;
    for (const std::int32_t size : {5, 9, 7, 3, 8}) {
        Tokens tokens(static_cast<std::size_t>(size), size);
        requests.push_back(score(tokens, 1));
    }
    const Tokens tokens = {3};
    const TokenTrie trie = make_trie(requests, {.num_pages = 100, .known = {tokens, 0}});
    Tokens ends;
    for (const TrieNode& node : trie.nodes) ends.push_back(node.end);
    CHECK(ends == Tokens{2, 8, 6, 4, 7});
    CHECK(trie.last == 4);
}
