using System.Runtime.InteropServices;
using DualSparse.Distributed.Mpi;

namespace DualSparse.Distributed;

/// <summary>A message on its way. Its request lies in native memory: MPI writes it whenever it likes.</summary>
internal sealed unsafe class RankMessage : IDisposable
{
    private readonly MpiLibrary mpi;
    private readonly nint* request;
    private bool done;

    /// <summary>Begins it.</summary>
    public RankMessage(MpiLibrary mpi, int peer, bool send, int tag, void* bytes, int count)
    {
        (this.mpi, Peer) = (mpi, peer);
        request = (nint*)NativeMemory.AllocZeroed((nuint)sizeof(nint));
        if (send)
            mpi.Send(bytes, count, peer, tag, request);
        else
            mpi.Receive(bytes, count, peer, tag, request);
    }

    /// <summary>The other rank.</summary>
    public int Peer { get; }

    /// <summary>Whether it has arrived, or its bytes may be used again; asking moves it on.</summary>
    public bool Done() => done || (done = mpi.Test(request));

    /// <summary>Frees the request of a message that is done.</summary>
    public void Dispose()
    {
        // MPI would write into memory that is another's.
        if (done)
            NativeMemory.Free(request);
    }
}
