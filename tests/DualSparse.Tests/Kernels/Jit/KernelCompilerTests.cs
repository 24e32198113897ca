using System.Runtime.InteropServices;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Jit;
using static Iced.Intel.AssemblerRegisters;

namespace DualSparse.Tests.Kernels.Jit;

public unsafe class KernelCompilerTests
{
    // Result[0] = the integers of Panel[0..4] taken from the constants, plus RowCount: touches arguments, constants and a loop.
    private static readonly EmittedFunction Sum = new("sum", c =>
    {
        var loop = c.CreateLabel();
        var numbers = c.Constant([1, 0, 0, 0, 20, 0, 0, 0, 44, 1, 0, 0]);
        c.lea(rbx, __[numbers]);
        c.mov(r15, FunctionAssembler.Field(nameof(PanelArgs.RowCount)));
        c.mov(ecx, 3);
        c.Mark(ref loop);
        c.mov(eax, __dword_ptr[rbx]);
        c.add(r15, rax);
        c.add(rbx, 4);
        c.dec(rcx);
        c.jnz(loop);
        c.mov(rbp, FunctionAssembler.Field(nameof(PanelArgs.Result)));
        c.mov(__qword_ptr[rbp], r15);
    });

    [Fact]
    public void A_function_runs_and_keeps_its_callers_registers()
    {
        SkipElsewhere();
        long result = 0;
        var args = new PanelArgs { RowCount = 5, Result = (float*)&result };
        var code = KernelCompiler.Compile(Sum);
        for (int i = 1; i <= 10; i++)
        {
            args.RowCount = i;
            code(&args);
            Assert.Equal(321 + i, result);
        }
    }

    [Fact]
    public void A_function_is_compiled_once()
    {
        SkipElsewhere();
        Assert.Equal((nint)KernelCompiler.Compile(Sum), (nint)KernelCompiler.Compile(Sum));
    }

    [Fact]
    public void Code_is_not_writable()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("only Linux lists a process's memory in /proc/self/maps");
        using var memory = new ExecutableMemory([0xC3]);
        string line = File.ReadLines("/proc/self/maps").First(l => Holds(l, (ulong)memory.Start));
        Assert.Equal("r-xp", line.Split(' ')[1]);
    }

    [Fact]
    public void Freed_code_is_gone()
    {
        var memory = new ExecutableMemory([0xC3]);
        memory.Dispose();
        memory.Dispose();
        Assert.Equal(0, (nint)memory.Start);
    }

    private static bool Holds(string line, ulong address)
    {
        ulong[] range = [.. line.Split(' ')[0].Split('-').Select(x => Convert.ToUInt64(x, 16))];
        return address >= range[0] && address < range[1];
    }

    private static void SkipElsewhere()
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64 || !System.Runtime.Intrinsics.X86.Avx.IsSupported)
            Assert.Skip("this processor is no x86-64 with AVX");
    }
}
