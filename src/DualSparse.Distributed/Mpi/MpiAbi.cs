using System.Runtime.InteropServices;

namespace DualSparse.Distributed.Mpi;

/// <summary>
/// What differs between MPI libraries: values and layouts, never signatures. Handles travel as <c>nint</c>: Open MPI's and the standard ABI's are
/// pointers, MPICH's are 32-bit integers, which an argument passes in the low half of a register.
/// </summary>
/// <param name="Name">The ABI's name.</param>
/// <param name="World">MPI_COMM_WORLD.</param>
/// <param name="ErrorsReturn">MPI_ERRORS_RETURN.</param>
/// <param name="Byte">MPI_BYTE.</param>
/// <param name="StatusIgnore">MPI_STATUS_IGNORE.</param>
/// <param name="Serialized">MPI_THREAD_SERIALIZED: several threads call, one at a time.</param>
/// <remarks>
/// Open MPI's and MPICH's values are those of their mpi.h as Debian 12 has them (4.1.4, 4.0.2). The standard ABI's are the MPI Forum's stub header's
/// (MPI 5.0, mpi-forum/mpi-abi-stubs); no library with it was at hand to run.
/// </remarks>
internal sealed record MpiAbi(string Name, nint World, nint ErrorsReturn, nint Byte, nint StatusIgnore, int Serialized)
{
    private const string OpenMpiWorld = "ompi_mpi_comm_world";

    /// <summary>The ABI of a loaded library; null: none that is known.</summary>
    /// <param name="library">Its handle.</param>
    /// <param name="version">What MPI_Get_library_version says.</param>
    public static unsafe MpiAbi? Of(nint library, string version)
    {
        if (NativeLibrary.TryGetExport(library, OpenMpiWorld, out nint world))
        {
            return new MpiAbi(
                "Open MPI", world, NativeLibrary.GetExport(library, "ompi_mpi_errors_return"),
                NativeLibrary.GetExport(library, "ompi_mpi_byte"), StatusIgnore: 0, Serialized: 2);
        }

        if (NativeLibrary.TryGetExport(library, "MPI_Abi_get_version", out nint ask))
        {
            // Earlier drafts had other values and answer with another version.
            int major, minor;
            if (((delegate* unmanaged<int*, int*, int>)ask)(&major, &minor) == 0 && major == 1)
                return new MpiAbi("standard ABI", World: 0x101, ErrorsReturn: 323, Byte: 583, StatusIgnore: 0, Serialized: 2048);
        }

        string[] family = ["MPICH", "Intel(R) MPI", "MVAPICH", "CRAY"];
        return family.Any(name => version.Contains(name, StringComparison.Ordinal))
            ? new MpiAbi("MPICH", World: 0x44000000, ErrorsReturn: 0x54000001, Byte: 0x4c00010d, StatusIgnore: 1, Serialized: 2)
            : null;
    }
}
