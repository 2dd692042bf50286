// A shared library that has the module's name and nothing else of it.
extern "C" int something_else() {
    return 1;
}
