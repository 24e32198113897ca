using System.Runtime.InteropServices;
using System.Text;

namespace DualSparse.Distributed.Mpi;

/// <summary>An MPI library, bound at run time: the calls that ranks need, and its ABI's values.</summary>
internal sealed unsafe class MpiLibrary
{
    /// <summary>The environment variable that names the library's file.</summary>
    public const string Variable = "DUALSPARSE_MPI";

    // MPI_MAX_LIBRARY_VERSION_STRING and MPI_MAX_ERROR_STRING are below this in every ABI.
    private const int MaxText = 8192;

    private static readonly string[] s_openMpi = ["libmpi.so.40"], s_mpich = ["libmpich.so.12", "libmpi.so.12"], s_standard = ["libmpi_abi.so.1", "libmpi_abi.so.0"];

    // MPI is asked by one thread at a time: those that compute, and the pulse.
    private readonly Lock asking = new();
    private readonly nint handle;
    private readonly delegate* unmanaged<nint, nint, int> setErrorHandler;
    private readonly delegate* unmanaged<int*, byte***, int, int*, int> initThread;
    private readonly delegate* unmanaged<int> finalize;
    private readonly delegate* unmanaged<nint, int*, int> commRank, commSize;
    private readonly delegate* unmanaged<nint, int, int> abort;
    private readonly delegate* unmanaged<void*, int, nint, int, int, nint, nint*, int> isend, irecv;
    private readonly delegate* unmanaged<nint*, int*, nint, int> test;
    private readonly delegate* unmanaged<int, byte*, int*, int> errorString;

    private MpiLibrary(nint handle, string path)
    {
        (this.handle, Path) = (handle, path);
        byte* text = stackalloc byte[MaxText];
        int length;
        // The one call that is allowed before MPI_Init.
        ((delegate* unmanaged<byte*, int*, int>)Symbol("MPI_Get_library_version"))(text, &length);
        Version = Encoding.UTF8.GetString(text, length).TrimEnd('\0', '\n').Split('\n')[0];
        Abi = MpiAbi.Of(handle, Version) ?? throw new MpiException($"{path} is an MPI library of an unknown kind ({Version}), expected Open MPI, MPICH or one with the standard ABI");
        initThread = (delegate* unmanaged<int*, byte***, int, int*, int>)Symbol("MPI_Init_thread");
        finalize = (delegate* unmanaged<int>)Symbol("MPI_Finalize");
        commRank = (delegate* unmanaged<nint, int*, int>)Symbol("MPI_Comm_rank");
        commSize = (delegate* unmanaged<nint, int*, int>)Symbol("MPI_Comm_size");
        setErrorHandler = (delegate* unmanaged<nint, nint, int>)Symbol("MPI_Comm_set_errhandler");
        abort = (delegate* unmanaged<nint, int, int>)Symbol("MPI_Abort");
        isend = (delegate* unmanaged<void*, int, nint, int, int, nint, nint*, int>)Symbol("MPI_Isend");
        irecv = (delegate* unmanaged<void*, int, nint, int, int, nint, nint*, int>)Symbol("MPI_Irecv");
        test = (delegate* unmanaged<nint*, int*, nint, int>)Symbol("MPI_Test");
        errorString = (delegate* unmanaged<int, byte*, int*, int>)Symbol("MPI_Error_string");
    }

    /// <summary>The file that was loaded, by the name it was found under.</summary>
    public string Path { get; }

    /// <summary>What the library calls itself.</summary>
    public string Version { get; }

    /// <summary>Its values.</summary>
    public MpiAbi Abi { get; }

    /// <summary>
    /// Loads the library that <see cref="Variable"/> names, else the launcher's own kind, else whichever is there. Nothing is started yet.
    /// </summary>
    /// <exception cref="MpiException">There is none, or its kind isn't known.</exception>
    public static MpiLibrary Load()
    {
        // UCX would take the signals that .NET makes exceptions of, and end the process at the first null reference.
        CLibrary.SetVariable("UCX_ERROR_SIGNALS", "");
        // Without it a message of more than 64 KB over TCP moves only while somebody waits for it.
        CLibrary.SetVariable("OMPI_MCA_btl_tcp_progress_thread", "1");
        // Copying straight from another process is forbidden in many containers, and was no quicker.
        CLibrary.SetVariable("OMPI_MCA_btl_vader_single_copy_mechanism", "none");
        string[] names = Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } path ? [path] : Candidates(MpiLaunch.Current?.Kind);
        foreach (string name in names)
        {
            if (CLibrary.Open(name) is var handle && handle != 0)
                return new MpiLibrary(handle, name);
        }

        throw new MpiException($"there is no MPI library (looked for {string.Join(", ", names)}): install Open MPI (Debian: openmpi-bin) or MPICH (mpich), or name its file by {Variable}");
    }

    /// <summary>Starts MPI, for calls by several threads of which one at a time calls.</summary>
    /// <exception cref="MpiException">It can't be started.</exception>
    public void Start()
    {
        int provided;
        Check(initThread(null, null, Abi.Serialized, &provided), "MPI_Init_thread");
        if (provided < Abi.Serialized)
            throw new MpiException($"{Version} was built for one thread only: install an MPI library that allows calls from several");
        Check(setErrorHandler(Abi.World, Abi.ErrorsReturn), "MPI_Comm_set_errhandler");
    }

    /// <summary>Ends MPI: all ranks do, and wait for each other.</summary>
    public void Stop() => Check(finalize(), "MPI_Finalize");

    /// <summary>Ends all ranks. It may never come back: see <see cref="RankGroup.Abort"/>.</summary>
    public void Abort(int code) => _ = abort(Abi.World, code);

    /// <summary>This process's rank.</summary>
    public int Rank()
    {
        int rank;
        Check(commRank(Abi.World, &rank), "MPI_Comm_rank");
        return rank;
    }

    /// <summary>Ranks.</summary>
    public int Size()
    {
        int size;
        Check(commSize(Abi.World, &size), "MPI_Comm_size");
        return size;
    }

    /// <summary>Begins to send bytes, which stay where they are until <paramref name="request"/> is done.</summary>
    public void Send(void* bytes, int count, int to, int tag, nint* request)
    {
        *request = 0; // MPICH writes the lower half
        lock (asking)
            Check(isend(bytes, count, Abi.Byte, to, tag, Abi.World, request), "MPI_Isend");
    }

    /// <summary>Begins to receive bytes.</summary>
    public void Receive(void* bytes, int count, int from, int tag, nint* request)
    {
        *request = 0;
        lock (asking)
            Check(irecv(bytes, count, Abi.Byte, from, tag, Abi.World, request), "MPI_Irecv");
    }

    /// <summary>Whether a request is done.</summary>
    public bool Test(nint* request)
    {
        int done;
        lock (asking)
            Check(test(request, &done, Abi.StatusIgnore), "MPI_Test");
        return done != 0;
    }

    private static string[] Candidates(MpiKind? kind) => kind switch
    {
        MpiKind.OpenMpi => [.. s_openMpi, .. s_standard],
        MpiKind.Mpich => [.. s_mpich, .. s_standard],
        _ => [.. s_standard, .. s_openMpi, .. s_mpich],
    };

    private nint Symbol(string name) => NativeLibrary.TryGetExport(handle, name, out nint symbol)
        ? symbol
        : throw new MpiException($"{Path} has no {name}: it is no MPI library, or one older than MPI 3.0");

    private void Check(int code, string call)
    {
        if (code == 0)
            return;
        byte* text = stackalloc byte[MaxText];
        int length = 0;
        string reason = errorString(code, text, &length) == 0 ? Encoding.UTF8.GetString(text, length).ReplaceLineEndings(" ") : $"code {code}";
        throw new MpiException($"{call} failed: {reason}");
    }
}
