using System.Globalization;

namespace DualSparse.Distributed.Mpi;

/// <summary>A launcher's kind.</summary>
internal enum MpiKind
{
    /// <summary>Open MPI's mpirun, or PMIx.</summary>
    OpenMpi,

    /// <summary>MPICH's hydra and its kin.</summary>
    Mpich,
}

/// <summary>What a launcher says in the environment of the processes that it starts.</summary>
/// <param name="Kind">Whose launcher it is.</param>
/// <param name="Rank">This process's rank.</param>
/// <param name="Size">Processes started together.</param>
/// <param name="LocalSize">Those of them on this machine.</param>
internal sealed record MpiLaunch(MpiKind Kind, int Rank, int Size, int LocalSize)
{
    /// <summary>That of this process; null: no launcher started it.</summary>
    public static MpiLaunch? Current => Read(Environment.GetEnvironmentVariable);

    /// <summary>Reads it.</summary>
    /// <param name="variable">Gives a variable, or null.</param>
    internal static MpiLaunch? Read(Func<string, string?> variable)
    {
        if (Number("OMPI_COMM_WORLD_SIZE") is { } size)
            return new MpiLaunch(MpiKind.OpenMpi, Number("OMPI_COMM_WORLD_RANK") ?? 0, size, Number("OMPI_COMM_WORLD_LOCAL_SIZE") ?? size);
        if (Number("PMI_SIZE") is { } processes)
            return new MpiLaunch(MpiKind.Mpich, Number("PMI_RANK") ?? 0, processes, Number("MPI_LOCALNRANKS") ?? processes);
        return null;

        int? Number(string name) => int.TryParse(variable(name), NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value : null;
    }
}
