namespace DualSparse.Distributed.Mpi;

/// <summary>MPI can't be used, or a call of it failed; the message is one sentence.</summary>
internal class MpiException(string message) : Exception(message);

/// <summary>A peer has been silent for longer than it may: it is lost or hangs.</summary>
internal sealed class PeerLostException(string message) : MpiException(message)
{
    /// <summary>The exit code of a process whose peer was lost.</summary>
    public const int ExitCode = 70;

    /// <summary>What its sentence ends with, by which a launcher knows it.</summary>
    public const string End = "it is lost or hangs";
}
