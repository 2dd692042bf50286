#pragma once
// Environment variables for the length of a test case.

#include <cstdlib>
#include <initializer_list>
#include <string>
#include <vector>

/// Sets variables, or unsets those whose value is null; the destructor unsets all of them.
class Environment {
 public:
    struct Variable {
        const char* name;
        const char* value;
    };
    Environment(std::initializer_list<Variable> variables) {
        for (const Variable& variable : variables) {
            names_.emplace_back(variable.name);
            if (variable.value != nullptr)
                setenv(variable.name, variable.value, 1);
            else
                unsetenv(variable.name);
        }
    }
    ~Environment() {
        for (const std::string& name : names_) unsetenv(name.c_str());
    }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

 private:
    std::vector<std::string> names_;
};
